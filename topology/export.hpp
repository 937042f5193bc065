#pragma once

#include <string>

#include "topology/topology.hpp"

namespace disagg {

// The fabric as a Graphviz drawing, hosts labelled with the replicas on them.
std::string dot_of(const PlacedCluster& cluster);
// The fabric as GraphML, which the topology "graphml" reads back: same vertices, edges and numbers.
std::string graphml_of(const Fabric& fabric);
// The graph with the replicas as a SimGrid platform (version 4.1): a replica's accelerators of one host are a
// host, everything else a router, and every edge a link that is a route of its own. SimGrid then finds the
// ways by itself.
std::string simgrid_platform_of(const PlacedCluster& cluster);

}  // namespace disagg
