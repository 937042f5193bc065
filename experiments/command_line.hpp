#pragma once

namespace disagg {

// The program: reads the command line, runs the command, and returns the exit code (see processes.hpp). Data
// go to stdout, messages to stderr.
int run_program(int argc, char** argv);

}  // namespace disagg
