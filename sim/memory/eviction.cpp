#include "sim/memory/eviction.hpp"

namespace disagg {
namespace {

Seconds read_ttl(Reader& r) { return r.find<Seconds>("ttl", Range::positive).value_or(kNever); }

}  // namespace

LeastRecentlyUsed LeastRecentlyUsed::read(Reader& r) { return {read_ttl(r)}; }
FirstInFirstOut FirstInFirstOut::read(Reader& r) { return {read_ttl(r)}; }
LeastFrequentlyUsed LeastFrequentlyUsed::read(Reader& r) { return {read_ttl(r)}; }
CheapestToRecompute CheapestToRecompute::read(Reader& r) { return {read_ttl(r)}; }

}  // namespace disagg
