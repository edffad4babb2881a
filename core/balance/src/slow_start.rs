use std::time::Duration;

/// The share of its weight that an instance has `age` after it joined or came back: from a tenth up to all of it.
///
/// `aggression` 1 is a straight line; more is steeper at first.
pub fn ramp(age: Duration, window: Duration, aggression: f64) -> f64 {
    if age >= window {
        return 1.0;
    }
    let part = age.as_secs_f64() / window.as_secs_f64();
    part.powf(1.0 / aggression.max(0.01)).clamp(0.1, 1.0)
}
