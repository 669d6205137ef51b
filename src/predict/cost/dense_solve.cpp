#include "predict/cost/dense_solve.hpp"

#include <cmath>

namespace ascertain::cost {

bool factorise(std::vector<double>& a, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = a[i * n + j];
            for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
            if (i == j) {
                if (!(sum > 0.0)) return false;
                a[i * n + i] = std::sqrt(sum);
            } else {
                a[i * n + j] = sum / a[j * n + j];
            }
        }
    }
    return true;
}

void solve_with(const std::vector<double>& l, std::size_t n, std::vector<double>& x) {
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t k = 0; k < i; ++k) x[i] -= l[i * n + k] * x[k];
        x[i] /= l[i * n + i];
    }
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t k = i + 1; k < n; ++k) x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
    }
}

std::vector<double> inverse_diagonal(const std::vector<double>& l, std::size_t n) {
    // Column by column: the j-th diagonal of (L L^T)^-1 is the squared length of L^-1 e_j.
    std::vector<double> diagonal(n, 0.0);
    std::vector<double> column(n);
    for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t i = j; i < n; ++i) {
            double sum = i == j ? 1.0 : 0.0;
            for (std::size_t k = j; k < i; ++k) sum -= l[i * n + k] * column[k];
            column[i] = sum / l[i * n + i];
            diagonal[j] += column[i] * column[i];
        }
    }
    return diagonal;
}

}  // namespace ascertain::cost
