// Symmetric positive definite systems of a few hundred unknowns.
#pragma once

#include <cstddef>
#include <vector>

namespace ascertain::cost {

// Cholesky factor of a row-major n x n matrix, in place (lower triangle). False when the matrix is
// not positive definite. Cost: n^3 / 3.
[[nodiscard]] bool factorise(std::vector<double>& matrix, std::size_t n);
// Solves with the factor, in place.
void solve_with(const std::vector<double>& factor, std::size_t n, std::vector<double>& vector);
// Diagonal of the inverse. Cost: n^3 / 3.
[[nodiscard]] std::vector<double> inverse_diagonal(const std::vector<double>& factor,
                                                   std::size_t n);

}  // namespace ascertain::cost
