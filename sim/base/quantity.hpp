#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

namespace disagg {

// A number with a physical dimension, held in SI base units. Exponents of second, byte, FLOP, dollar and
// joule make up the dimension, so that Bytes / BytesPerSecond is Seconds and Bytes + Seconds does not
// compile.
template <int Second, int Byte, int Flop, int Dollar, int Joule>
struct Quantity {
  double si{};

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator-() const { return {-si}; }
  constexpr Quantity& operator+=(Quantity b) {
    si += b.si;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity b) {
    si -= b.si;
    return *this;
  }
  constexpr Quantity& operator*=(double b) {
    si *= b;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return {a.si + b.si}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return {a.si - b.si}; }
  friend constexpr Quantity operator*(Quantity a, double b) { return {a.si * b}; }
  friend constexpr Quantity operator*(double a, Quantity b) { return {a * b.si}; }
  friend constexpr Quantity operator/(Quantity a, double b) { return {a.si / b}; }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.si / b.si; }
};

template <int S, int B, int F, int D, int J, int S2, int B2, int F2, int D2, int J2>
constexpr auto operator*(Quantity<S, B, F, D, J> a, Quantity<S2, B2, F2, D2, J2> b) {
  return Quantity<S + S2, B + B2, F + F2, D + D2, J + J2>{a.si * b.si};
}
template <int S, int B, int F, int D, int J, int S2, int B2, int F2, int D2, int J2>
constexpr auto operator/(Quantity<S, B, F, D, J> a, Quantity<S2, B2, F2, D2, J2> b) {
  return Quantity<S - S2, B - B2, F - F2, D - D2, J - J2>{a.si / b.si};
}

using Seconds = Quantity<1, 0, 0, 0, 0>;
using Bytes = Quantity<0, 1, 0, 0, 0>;
using Flops = Quantity<0, 0, 1, 0, 0>;  // floating-point operations, not a rate
using Dollars = Quantity<0, 0, 0, 1, 0>;
using Joules = Quantity<0, 0, 0, 0, 1>;
using BytesPerSecond = Quantity<-1, 1, 0, 0, 0>;
using FlopsPerSecond = Quantity<-1, 0, 1, 0, 0>;
using FlopsPerByte = Quantity<0, -1, 1, 0, 0>;
using DollarsPerSecond = Quantity<-1, 0, 0, 1, 0>;
using Watts = Quantity<-1, 0, 0, 0, 1>;
using JoulesPerByte = Quantity<0, -1, 0, 0, 1>;
using PerSecond = Quantity<-1, 0, 0, 0, 0>;

// Tokens, requests and blocks are counted, never measured: exact integers.
using TokenCount = std::int64_t;
using BlockCount = std::int64_t;

inline constexpr Seconds kNever{std::numeric_limits<double>::infinity()};

namespace literals {
constexpr Seconds operator""_s(long double v) { return {static_cast<double>(v)}; }
constexpr Seconds operator""_s(unsigned long long v) { return {static_cast<double>(v)}; }
constexpr Seconds operator""_ms(long double v) { return {static_cast<double>(v) * 1e-3}; }
constexpr Seconds operator""_ms(unsigned long long v) { return {static_cast<double>(v) * 1e-3}; }
constexpr Seconds operator""_us(long double v) { return {static_cast<double>(v) * 1e-6}; }
constexpr Seconds operator""_us(unsigned long long v) { return {static_cast<double>(v) * 1e-6}; }
constexpr Bytes operator""_GB(long double v) { return {static_cast<double>(v) * 1e9}; }
constexpr Bytes operator""_GB(unsigned long long v) { return {static_cast<double>(v) * 1e9}; }
constexpr BytesPerSecond operator""_GBps(long double v) { return {static_cast<double>(v) * 1e9}; }
constexpr BytesPerSecond operator""_GBps(unsigned long long v) { return {static_cast<double>(v) * 1e9}; }
constexpr FlopsPerSecond operator""_TFLOPs(long double v) { return {static_cast<double>(v) * 1e12}; }
constexpr FlopsPerSecond operator""_TFLOPs(unsigned long long v) { return {static_cast<double>(v) * 1e12}; }
}  // namespace literals

}  // namespace disagg
