/// The caller's randomness. Any closure that gives well mixed 64 bit numbers is one.
pub trait Dice {
    /// The next random number.
    fn roll(&mut self) -> u64;

    /// A number below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        // Multiply and shift: the bias is 2^-64 times the bound.
        ((u128::from(self.roll()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 up to, but not including, 1.
    fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl<F: FnMut() -> u64> Dice for F {
    fn roll(&mut self) -> u64 {
        self()
    }
}
