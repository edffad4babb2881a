use serde::Serialize;

go_body! {
    /// Where a node is in the network, by Vivaldi: distances between coordinates are round-trip times in seconds.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Coordinate {
        "Vec" => vec: Vec<f64>,
        "Error" => error: f64,
        "Adjustment" => adjustment: f64,
        "Height" => height: f64,
    }
}

go_body! {
    struct CoordinateUpdate {
        "Datacenter" => datacenter: String,
        "Node" => node: String,
        "Segment" => segment: String,
        "Partition" => partition: String,
        "Coord" => coord: Option<Coordinate>,
        "Token" => token: String,
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CoordinateEntry<'a> {
    pub(crate) node: &'a str,
    pub(crate) segment: &'static str,
    pub(crate) coord: Coordinate,
}

impl Coordinate {
    pub(crate) const DIMENSIONS: usize = 8;

    /// Where everyone begins.
    pub(crate) fn origin() -> Coordinate {
        Coordinate { vec: vec![0.0; Coordinate::DIMENSIONS], error: 1.5, adjustment: 0.0, height: 0.000_01 }
    }

    /// The round-trip time in seconds, as Serf reckons it.
    pub(crate) fn distance_to(&self, other: &Coordinate) -> f64 {
        let squares = self.vec.iter().zip(&other.vec).map(|(a, b)| (a - b) * (a - b));
        let distance = squares.sum::<f64>().sqrt() + self.height + other.height;
        let adjusted = distance + self.adjustment + other.adjustment;
        if adjusted > 0.0 { adjusted } else { distance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_round_trip_times() {
        let at = |x: f64, adjustment: f64| {
            let vec = vec![x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            Coordinate { vec, adjustment, height: 0.5, error: 0.1 }
        };
        assert_eq!(at(0.0, 0.0).distance_to(&at(3.0, 0.0)), 4.0);
        assert_eq!(at(0.0, -0.5).distance_to(&at(3.0, 0.0)), 3.5);
        // An adjustment below nothing is not believed.
        assert_eq!(at(0.0, -9.0).distance_to(&at(3.0, 0.0)), 4.0);
    }
}
