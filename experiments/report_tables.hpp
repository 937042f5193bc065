#pragma once

#include <string>

namespace disagg {

// What a report embeds of the tables of a run, so that it stays small whatever the cluster's size. All take
// and return CSV text as `disagg run --out` writes it; numbers of series are rounded to three digits.

// The 1,000 most loaded rows of links.csv, the two directions of a link together; all, in their order, if
// there are no more.
std::string most_loaded_links(const std::string& links);
// Of link_series.csv or link_flows.csv, the rows of the first 300 links of `links`.
std::string rows_of_links(const std::string& table, const std::string& links);
// Of replica_series.csv, at most 128 replicas: as many neighbours of a pool as it takes become one, named
// "decode[8..15]", with their mean.
std::string grouped_replicas(const std::string& series);

}  // namespace disagg
