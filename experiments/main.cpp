#include "experiments/command_line.hpp"

int main(int argc, char** argv) { return disagg::run_program(argc, argv); }
