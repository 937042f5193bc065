#pragma once

namespace disagg {

// Distinct experts of one MoE layer that `tokens` tokens are expected to touch, of `experts` with `per_token`
// asked by each: sum over e of 1 - (1 - p_e)^T. `skew` 0 routes uniformly, E (1 - (1 - k / E)^T); otherwise
// the popularity of expert i is proportional to (i + 1)^-skew, but no expert is asked by more than all tokens
// (p_e <= 1, sum p_e = k). Tokens choose independently of each other. (oi_cf 4.8)
double distinct_experts(double experts, double per_token, double tokens, double skew = 0);

// What falls to one expert-parallel rank in one MoE layer: distinct experts with tokens, and (token, expert)
// pairs. Both are expected values.
struct ExpertRankLoad {
  double active_experts = 0;
  double routed_tokens = 0;
};

// The rank with the most routed tokens of `ranks` that hold the experts between them. The experts are
// shuffled once, in the same order in every run, and dealt to the ranks in turn, so that neighbours in
// popularity part. Without skew every rank has its even share of everything. Popularities are worked out once
// for each (experts, per_token, ranks, skew) and thread.
ExpertRankLoad most_loaded_rank(double experts, double per_token, double tokens, double ranks, double skew);

// The rank that ends last in a step: as above, and with the fluctuation of one step's draws, since the
// expected maximum over ranks exceeds the maximum of their expectations. Draws count as independent (normal
// approximation); group-limited routing, which bundles a token's experts on fewer ranks, fluctuates more.
ExpertRankLoad slowest_rank(double experts, double per_token, double tokens, double ranks, double skew);

}  // namespace disagg
