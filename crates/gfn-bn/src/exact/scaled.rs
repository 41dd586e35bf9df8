//! Positive numbers with an exponent of 32 bits: products of scores over hundreds of nats without logarithms.

use std::f64::consts::{LN_2, LOG2_E};

/// Below this power of two, a summand is lost in the rounding of the sum.
const LOST: i32 = -64;

/// Exponents of what [`Scaled::exp`] returns are smaller in size: that of a ratio of products of twenty numbers each does
/// not overflow.
const EXPONENT_LIMIT: i32 = 1 << 25;

/// The number mantissa · 2^exponent; 1 ≤ mantissa < 2, or the number is 0 and its mantissa, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaled {
    pub mantissa: f64,
    pub exponent: i32,
}

impl Scaled {
    pub const ZERO: Scaled = Scaled { mantissa: 0.0, exponent: 0 };
    pub const ONE: Scaled = Scaled { mantissa: 1.0, exponent: 0 };

    /// The exponential of a number that is finite or −∞; `None` where the exponent is too large in size (2·10⁷ nats).
    pub fn exp(x: f64) -> Option<Self> {
        if x == f64::NEG_INFINITY {
            return Some(Scaled::ZERO);
        }
        let exponent = (x * LOG2_E).floor();
        let in_range = exponent.abs() < f64::from(EXPONENT_LIMIT);
        in_range
            .then(|| Scaled { mantissa: (x - exponent * LN_2).exp(), exponent: exponent as i32 }.normalised())
    }

    pub fn is_zero(self) -> bool {
        self.mantissa == 0.0
    }

    pub fn plus(self, other: Self) -> Self {
        let (small, large) = if self.less_than(other) { (self, other) } else { (other, self) };
        let shift = small.exponent - large.exponent;
        if small.is_zero() || shift < LOST {
            return large;
        }
        Scaled { mantissa: large.mantissa + small.mantissa * power_of_two(shift), ..large }.normalised()
    }

    pub fn times(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Scaled::ZERO;
        }
        let mantissa = self.mantissa * other.mantissa;
        Scaled { mantissa, exponent: self.exponent + other.exponent }.normalised()
    }

    pub fn less_than(self, other: Self) -> bool {
        if self.is_zero() || other.is_zero() {
            return !other.is_zero() && self.is_zero();
        }
        (self.exponent, self.mantissa) < (other.exponent, other.mantissa)
    }

    /// The ratio of two numbers of which this is not larger, as an ordinary number; the other is not zero.
    pub fn share_of(self, other: Self) -> f64 {
        self.mantissa / other.mantissa * power_of_two(self.exponent - other.exponent)
    }

    /// Brings a positive mantissa between 1 and 2.
    fn normalised(self) -> Self {
        let bits = self.mantissa.to_bits();
        let exponent = (bits >> 52) as i32 - 1023;
        let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
        Scaled { mantissa, exponent: self.exponent + exponent }
    }
}

/// 2^exponent, for exponents up to 1023. Below −1000 it is 2^−1000, which is as good as 0 next to a number near 1.
pub(super) fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent.max(-1000) + 1023) as u64) << 52)
}
