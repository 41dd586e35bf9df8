//! The inner loops of the likelihood: straight loops over patterns, compiled once for each vector extension.
//!
//! Vector code multiplies and adds in one operation (FUSED), which the portable code does not, as it would be slow without the
//! instruction: the two agree to rounding, and AVX2 and AVX-512 to the last bit. Nothing is reordered.

use std::mem::MaybeUninit;

/// Patterns are padded to a multiple of this, the widest vector in use.
pub(super) const LANES: usize = 8;

/// A subtree as the loops read it: the conditional likelihoods of its four states, pattern by pattern.
pub(super) trait Child: Copy {
    /// What a loop holds of `padded` patterns.
    type Patterns: Copy;
    /// Checks that there are so many.
    fn patterns(self, padded: usize) -> Self::Patterns;
    /// The four states of a pattern.
    fn at(patterns: Self::Patterns, pattern: usize) -> [f64; 4];
}

/// An inner node: four runs of numbers, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Inner<'a>(pub &'a [f64]);

/// A leaf: a set of states for each pattern, one bit each.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a>(pub &'a [u8]);

impl<'a> Child for Inner<'a> {
    type Patterns = [&'a [f64]; 4];

    #[inline(always)]
    fn patterns(self, padded: usize) -> [&'a [f64]; 4] {
        std::array::from_fn(|state| &self.0[state * padded..][..padded])
    }

    #[inline(always)]
    fn at([s0, s1, s2, s3]: [&'a [f64]; 4], pattern: usize) -> [f64; 4] {
        [s0[pattern], s1[pattern], s2[pattern], s3[pattern]]
    }
}

impl<'a> Child for Leaf<'a> {
    type Patterns = &'a [u8];

    #[inline(always)]
    fn patterns(self, padded: usize) -> &'a [u8] {
        &self.0[..padded]
    }

    /// One for the states of the set, else zero.
    #[inline(always)]
    fn at(sets: &'a [u8], pattern: usize) -> [f64; 4] {
        let set = u64::from(sets[pattern]);
        std::array::from_fn(|state| if set & 1 << state != 0 { 1.0 } else { 0.0 })
    }
}

#[inline(always)]
fn states_mut(block: &mut [MaybeUninit<f64>], padded: usize) -> [&mut [MaybeUninit<f64>]; 4] {
    let (s0, rest) = block.split_at_mut(padded);
    let (s1, rest) = rest.split_at_mut(padded);
    let (s2, s3) = rest.split_at_mut(padded);
    [s0, s1, s2, &mut s3[..padded]]
}

/// The largest of the four states as a whole number: numbers >= 0 are ordered as their bits are, and a minimum of
/// whole numbers may be taken in any order, so that the loop can be vectorised.
#[inline(always)]
fn highest_bits(values: [f64; 4]) -> u64 {
    let larger = |x: f64, y: f64| if x > y { x } else { y };
    larger(larger(values[0], values[1]), larger(values[2], values[3])).to_bits()
}

/// a b + c.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn merge_jukes_cantor_body<const FUSED: bool, A: Child, B: Child>(
    out: &mut [MaybeUninit<f64>],
    a: A,
    ta: [f64; 2],
    b: B,
    tb: [f64; 2],
    padded: usize,
) -> f64 {
    let (a, b) = (a.patterns(padded), b.patterns(padded));
    let [o0, o1, o2, o3] = states_mut(out, padded);
    let mut lowest = f64::INFINITY.to_bits();
    for i in 0..padded {
        let (x, y) = (A::at(a, i), B::at(b, i));
        let all_x = ta[1] * ((x[0] + x[1]) + (x[2] + x[3]));
        let all_y = tb[1] * ((y[0] + y[1]) + (y[2] + y[3]));
        let r0 = multiply_add::<FUSED>(ta[0], x[0], all_x) * multiply_add::<FUSED>(tb[0], y[0], all_y);
        let r1 = multiply_add::<FUSED>(ta[0], x[1], all_x) * multiply_add::<FUSED>(tb[0], y[1], all_y);
        let r2 = multiply_add::<FUSED>(ta[0], x[2], all_x) * multiply_add::<FUSED>(tb[0], y[2], all_y);
        let r3 = multiply_add::<FUSED>(ta[0], x[3], all_x) * multiply_add::<FUSED>(tb[0], y[3], all_y);
        o0[i].write(r0);
        o1[i].write(r1);
        o2[i].write(r2);
        o3[i].write(r3);
        lowest = lowest.min(highest_bits([r0, r1, r2, r3]));
    }
    f64::from_bits(lowest)
}

#[inline(always)]
fn row<const FUSED: bool>(m: &[f64; 16], state: usize, x: [f64; 4]) -> f64 {
    let m = &m[4 * state..4 * state + 4];
    let sum = multiply_add::<FUSED>(m[1], x[1], m[0] * x[0]);
    multiply_add::<FUSED>(m[3], x[3], multiply_add::<FUSED>(m[2], x[2], sum))
}

/// In the frame of a function it aligns what the compiler keeps there besides: the numbers of two matrices do not all fit
/// into registers, and vectors across two lines of the cache take twice as long to read.
#[repr(align(64))]
struct Aligned<T>(T);

#[inline(always)]
fn merge_general_body<const FUSED: bool, A: Child, B: Child>(
    out: &mut [MaybeUninit<f64>],
    a: A,
    ta: &[f64; 16],
    b: B,
    tb: &[f64; 16],
    padded: usize,
) -> f64 {
    let [ta, tb] = std::hint::black_box(&Aligned([*ta, *tb])).0;
    let (a, b) = (a.patterns(padded), b.patterns(padded));
    let [o0, o1, o2, o3] = states_mut(out, padded);
    let mut lowest = f64::INFINITY.to_bits();
    for i in 0..padded {
        let (x, y) = (A::at(a, i), B::at(b, i));
        let r0 = row::<FUSED>(&ta, 0, x) * row::<FUSED>(&tb, 0, y);
        let r1 = row::<FUSED>(&ta, 1, x) * row::<FUSED>(&tb, 1, y);
        let r2 = row::<FUSED>(&ta, 2, x) * row::<FUSED>(&tb, 2, y);
        let r3 = row::<FUSED>(&ta, 3, x) * row::<FUSED>(&tb, 3, y);
        o0[i].write(r0);
        o1[i].write(r1);
        o2[i].write(r2);
        o3[i].write(r3);
        lowest = lowest.min(highest_bits([r0, r1, r2, r3]));
    }
    f64::from_bits(lowest)
}

/// `sums[p] += Σ_s a_s (same·b_s + other·Σ b)`: with the frequencies (1/4) inside `joint`.
#[inline(always)]
fn join_jukes_cantor_body<const FUSED: bool, A: Child, B: Child>(
    sums: &mut [f64],
    a: A,
    b: B,
    joint: [f64; 2],
    padded: usize,
) {
    let (a, b) = (a.patterns(padded), b.patterns(padded));
    let sums = &mut sums[..padded];
    for i in 0..padded {
        let (x, y) = (A::at(a, i), B::at(b, i));
        let equal = (x[0] * y[0] + x[1] * y[1]) + (x[2] * y[2] + x[3] * y[3]);
        let all = ((x[0] + x[1]) + (x[2] + x[3])) * ((y[0] + y[1]) + (y[2] + y[3]));
        sums[i] += multiply_add::<FUSED>(equal, joint[0], all * joint[1]);
    }
}

/// `sums[p] += Σ_st a_s joint_st b_t`, where `joint_st = π_s P_st`.
#[inline(always)]
fn join_general_body<const FUSED: bool, A: Child, B: Child>(
    sums: &mut [f64],
    a: A,
    b: B,
    joint: &[f64; 16],
    padded: usize,
) {
    let joint = *joint;
    let (a, b) = (a.patterns(padded), b.patterns(padded));
    let sums = &mut sums[..padded];
    for i in 0..padded {
        let (x, y) = (A::at(a, i), B::at(b, i));
        let rest = multiply_add::<FUSED>(x[2], row::<FUSED>(&joint, 2, y), x[3] * row::<FUSED>(&joint, 3, y));
        let two = multiply_add::<FUSED>(x[1], row::<FUSED>(&joint, 1, y), rest);
        sums[i] += multiply_add::<FUSED>(x[0], row::<FUSED>(&joint, 0, y), two);
    }
}

/// Σ weight · ln value, for values that are all normal positive numbers; `None` otherwise.
///
/// The logarithm is that of fdlibm (`e_log.c`, Sun Microsystems 1993; error below one unit in the last place),
/// without its branches, and with none of its operations fused: value = 2^k (1 + f), s = f / (2 + f), ln(1 + f) = f - f²/2 + s (f²/2 + R(s²)).
#[inline(always)]
fn weighted_logarithms_body<const FUSED: bool>(values: &[f64], weights: &[f64]) -> Option<f64> {
    const SQRT_HALF: u64 = 0x3fe6_a09e_0000_0000;
    const ONE: u64 = 1023 << 52;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const L: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let values = values.as_chunks::<LANES>().0;
    let weights = &weights.as_chunks::<LANES>().0[..values.len()];
    let mut lowest = [f64::INFINITY; LANES];
    let mut total = [0.0; LANES];
    for i in 0..values.len() {
        for lane in 0..LANES {
            let value = values[i][lane];
            lowest[lane] = if value < lowest[lane] { value } else { lowest[lane] };
            // Shift so that the mantissa lies in [sqrt(1/2), sqrt(2)); k is then the biased exponent minus 1023.
            let shifted = value.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(ONE);
            let biased = f64::from_bits((shifted >> 52) | 0x4330_0000_0000_0000);
            let k = biased - (4_503_599_627_370_496.0 + 1023.0);
            let mantissa = (shifted & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF);
            let f = f64::from_bits(mantissa) - 1.0;
            let s = f / (2.0 + f);
            let z = s * s;
            let w = z * z;
            let even = w * (L[1] + w * (L[3] + w * L[5]));
            let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
            let half = 0.5 * f * f;
            let logarithm = k * LN2_HIGH - ((half - (s * (half + (even + odd)) + k * LN2_LOW)) - f);
            total[lane] += weights[i][lane] * logarithm;
        }
    }
    (lowest.into_iter().fold(f64::INFINITY, f64::min) >= f64::MIN_POSITIVE).then(|| total.iter().sum())
}

/// Which compilation of the loops to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Extension {
    /// The widest that this processor has.
    pub(super) fn detect() -> Extension {
        #[cfg(target_arch = "x86_64")]
        {
            let fused = is_x86_feature_detected!("fma");
            if fused && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return Extension::Avx512;
            }
            if fused && is_x86_feature_detected!("avx2") {
                return Extension::Avx2;
            }
        }
        Extension::Portable
    }
}

/// Defines a function that calls `$body` compiled for the extension given as its first argument.
macro_rules! dispatched {
    ($(#[$doc:meta])* $name:ident, $body:ident<$($child:ident),*>, ($($argument:ident: $kind:ty),*) -> $result:ty) => {
        $(#[$doc])*
        pub(super) fn $name<$($child: Child),*>(extension: Extension, $($argument: $kind),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,fma")]
            fn avx512<$($child: Child),*>($($argument: $kind),*) -> $result {
                $body::<true, $($child),*>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$($child: Child),*>($($argument: $kind),*) -> $result {
                $body::<true, $($child),*>($($argument),*)
            }
            match extension {
                Extension::Portable => $body::<false, $($child),*>($($argument),*),
                // SAFETY: `Extension::detect` gives these only where the processor has the features.
                #[cfg(target_arch = "x86_64")]
                Extension::Avx2 => unsafe { avx2($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Extension::Avx512 => unsafe { avx512($($argument),*) },
            }
        }
    };
}

dispatched!(
    /// Writes all of `out_s = (P_a a)_s (P_b b)_s` under JC69; returns the smallest over patterns of the largest over states.
    merge_jukes_cantor, merge_jukes_cantor_body<A, B>,
    (out: &mut [MaybeUninit<f64>], a: A, ta: [f64; 2], b: B, tb: [f64; 2], padded: usize) -> f64
);
dispatched!(
    /// As [`merge_jukes_cantor`], with any matrices (row-major).
    merge_general, merge_general_body<A, B>,
    (out: &mut [MaybeUninit<f64>], a: A, ta: &[f64; 16], b: B, tb: &[f64; 16], padded: usize) -> f64
);
dispatched!(
    /// Adds a category's site likelihoods across one edge under JC69.
    join_jukes_cantor, join_jukes_cantor_body<A, B>,
    (sums: &mut [f64], a: A, b: B, joint: [f64; 2], padded: usize) -> ()
);
dispatched!(
    /// Adds a category's site likelihoods across one edge.
    join_general, join_general_body<A, B>,
    (sums: &mut [f64], a: A, b: B, joint: &[f64; 16], padded: usize) -> ()
);
dispatched!(
    /// Weighted sum of natural logarithms of normal positive values (length a multiple of 8), else `None`.
    weighted_logarithms, weighted_logarithms_body<>,
    (values: &[f64], weights: &[f64]) -> Option<f64>
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extensions() -> Vec<Extension> {
        let mut all = vec![Extension::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if Extension::detect() != Extension::Portable {
                all.push(Extension::Avx2);
            }
            if Extension::detect() == Extension::Avx512 {
                all.push(Extension::Avx512);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn logarithms_are_those_of_the_standard_library(
            logarithms in prop::collection::vec(-700.0..700.0f64, 1..4 * LANES),
            near_one in prop::collection::vec(-1e-3..1e-3f64, LANES),
        ) {
            let mut values: Vec<f64> = logarithms.iter().map(|x| x.exp()).collect();
            values.extend(near_one.iter().map(|x| 1.0 + x));
            for value in values {
                let mut padded = [1.0; LANES];
                padded[3] = value;
                for extension in extensions() {
                    let sum = weighted_logarithms(extension, &padded, &[1.0; LANES]).unwrap();
                    prop_assert!((sum - value.ln()).abs() <= 4e-16 * value.ln().abs(), "{value}: {sum}");
                }
            }
        }

        #[test]
        fn extensions_give_the_same_bits_and_agree_with_portable_code(
            a in prop::collection::vec(0.0..1.0f64, 4 * 2 * LANES),
            b in prop::collection::vec(0.0..1.0f64, 4 * 2 * LANES),
            m in prop::collection::vec(0.0..1.0f64, 32),
        ) {
            let padded = 2 * LANES;
            let (ta, tb) = (m[..16].try_into().unwrap(), m[16..].try_into().unwrap());
            let run = |extension| {
                let mut jc = vec![MaybeUninit::new(f64::NAN); 4 * padded];
                let mut general = jc.clone();
                let (mut x, mut y) = (vec![0.0; padded], vec![0.0; padded]);
                let (a, b) = (Inner(&a), Inner(&b));
                let lowest = [
                    merge_jukes_cantor(extension, &mut jc, a, [m[0], m[1]], b, [m[2], m[3]], padded),
                    merge_general(extension, &mut general, a, &ta, b, &tb, padded),
                ];
                join_jukes_cantor(extension, &mut x, a, b, [m[0], m[1]], padded);
                join_general(extension, &mut y, a, b, &ta, padded);
                // SAFETY: they were made of numbers.
                let written = |values: Vec<MaybeUninit<f64>>| -> Vec<f64> {
                    values.into_iter().map(|value| unsafe { value.assume_init() }).collect()
                };
                (written(jc), written(general), x, y, lowest)
            };
            let portable = run(Extension::Portable);
            let close = |found: &[f64], expected: &[f64]| {
                found.iter().zip(expected).all(|(x, y)| (x - y).abs() <= 1e-14 * y.abs())
            };
            let vectors: Vec<_> = extensions().into_iter().skip(1).map(run).collect();
            for found in &vectors {
                prop_assert_eq!(found, &vectors[0]);
                prop_assert!(close(&found.0, &portable.0) && close(&found.1, &portable.1));
                prop_assert!(close(&found.2, &portable.2) && close(&found.3, &portable.3));
                prop_assert!(close(&found.4, &portable.4));
            }
            let highest = |p: usize| (0..4).map(|s| portable.0[s * padded + p]).fold(0.0, f64::max);
            prop_assert_eq!(portable.4[0], (0..padded).map(highest).fold(f64::INFINITY, f64::min));
        }
    }

    /// Sets of states and the numbers that they stand for give the same bits, in every place and compilation.
    #[test]
    fn leaves_are_read_as_their_numbers() {
        let padded = 2 * LANES;
        let sets: Vec<u8> = (0..16).collect();
        let mut numbers = vec![0.0; 4 * padded];
        for (pattern, set) in sets.iter().enumerate() {
            (0..4).for_each(|state| numbers[state * padded + pattern] = f64::from(set >> state & 1));
        }
        let other: Vec<f64> = (0..4 * padded).map(|k| (k as f64).sin().abs()).collect();
        let matrix = |shift: f64| std::array::from_fn(|k| (k as f64 + shift).cos().abs());
        let (ta, tb) = (matrix(1.0), matrix(2.0));
        for extension in extensions() {
            let with = |a: &dyn Fn(&mut [Vec<f64>; 4]) -> [f64; 2]| {
                let mut found = std::array::from_fn(|_| vec![0.5; padded]);
                (a(&mut found), found)
            };
            fn all<A: Child, B: Child>(
                extension: Extension,
                (a, b): (A, B),
                (ta, tb): (&[f64; 16], &[f64; 16]),
                found: &mut [Vec<f64>; 4],
            ) -> [f64; 2] {
                let padded = found[0].len();
                let pair = |m: &[f64; 16]| [m[0], m[1]];
                let mut merged = [vec![MaybeUninit::new(f64::NAN); 4 * padded], Vec::new()];
                merged[1] = merged[0].clone();
                let lowest = [
                    merge_jukes_cantor(extension, &mut merged[0], a, pair(ta), b, pair(tb), padded),
                    merge_general(extension, &mut merged[1], a, ta, b, tb, padded),
                ];
                let [jukes_cantor, general, x, y] = found;
                join_jukes_cantor(extension, x, a, b, pair(ta), padded);
                join_general(extension, y, a, b, ta, padded);
                for (written, merged) in [jukes_cantor, general].into_iter().zip(merged) {
                    // SAFETY: they were made of numbers.
                    *written = merged.into_iter().map(|value| unsafe { value.assume_init() }).collect();
                }
                lowest
            }
            let (leaf, plain, inner) = (Leaf(&sets), Inner(&numbers), Inner(&other));
            let m = (&ta, &tb);
            assert_eq!(
                with(&|found| all(extension, (leaf, inner), m, found)),
                with(&|found| all(extension, (plain, inner), m, found))
            );
            assert_eq!(
                with(&|found| all(extension, (inner, leaf), m, found)),
                with(&|found| all(extension, (inner, plain), m, found))
            );
            assert_eq!(
                with(&|found| all(extension, (leaf, leaf), m, found)),
                with(&|found| all(extension, (plain, plain), m, found))
            );
        }
    }

    #[test]
    fn zero_and_subnormal_values_are_left_to_the_caller() {
        for value in [0.0, 1e-310] {
            let mut values = [1.0; LANES];
            values[5] = value;
            assert_eq!(weighted_logarithms(Extension::detect(), &values, &[1.0; LANES]), None);
        }
    }
}
