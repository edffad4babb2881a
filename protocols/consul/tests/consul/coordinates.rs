use http::StatusCode;
use serde_json::json;

use crate::support::world;

#[tokio::test]
async fn coordinates_are_told_and_forgotten_with_their_node() {
    let world = world().await;
    let datacenters = world.get("/v1/coordinate/datacenters").await.ok();
    assert_eq!(datacenters[0]["Datacenter"], "dc1");
    assert_eq!(datacenters[0]["Coordinates"][0]["Node"], "here");
    world.put("/v1/catalog/register", r#"{"Node":"n1","Address":"10.0.0.1"}"#).await;
    let unknown = world.get("/v1/coordinate/node/n1").await;
    assert_eq!((unknown.status, unknown.text()), (StatusCode::NOT_FOUND, ""));
    let coord = json!({ "Vec": [0.5, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 0.5 });
    let update = |node: &str| json!({ "Node": node, "Segment": "", "Coord": coord }).to_string();
    assert_eq!(world.put("/v1/coordinate/update", update("n1")).await.status, StatusCode::OK);
    let said = world.get("/v1/coordinate/node/N1").await;
    assert_eq!(said.ok(), json!([{ "Node": "n1", "Segment": "", "Coord": coord }]));
    assert_eq!(world.get("/v1/coordinate/nodes").await.ok().as_array().unwrap().len(), 2);
    assert_eq!(world.get("/v1/coordinate/nodes?segment=x").await.text(), "[]");
    let before = said.index();
    world.put("/v1/coordinate/update", update("n1")).await;
    assert_eq!(world.get("/v1/coordinate/nodes").await.index(), before, "the same again is no change");

    world.put("/v1/catalog/deregister", r#"{"Node":"n1"}"#).await;
    assert_eq!(world.get("/v1/coordinate/node/n1").await.status, StatusCode::NOT_FOUND);
    world.put("/v1/catalog/register", r#"{"Node":"n1","Address":"10.0.0.9"}"#).await;
    assert_eq!(world.get("/v1/coordinate/node/n1").await.status, StatusCode::NOT_FOUND, "it is another one");
}

#[tokio::test]
async fn what_is_no_coordinate_is_refused() {
    let world = world().await;
    for (body, status, said) in [
        ("", 400, "Request decode failed: EOF"),
        (r#"{"Node":"here"}"#, 500, "invalid coordinate"),
        (r#"{"Node":"here","Coord":{"Vec":[1]}}"#, 500, "incompatible coordinate"),
        (
            r#"{"Node":"here","Coord":{"Vec":[0,0,0,0,0,0,0,0]},"Segment":"s"}"#,
            500,
            "segment \"s\" not found",
        ),
        (r#"{"Node":"nobody","Coord":{"Vec":[0,0,0,0,0,0,0,0]}}"#, 500, "node \"nobody\" is not registered"),
        (r#"{"Node":"here","Coord":{"Vec":[0,0,0,0,0,0,0,0]},"Partition":"p"}"#, 400, "Invalid Partition"),
        (r#"{"Node":"here","Coord":{"Vec":[1e999,0,0,0,0,0,0,0]}}"#, 400, "out of range"),
    ] {
        let answer = world.put("/v1/coordinate/update", body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert!(answer.text().contains(said), "{body}: {answer:?}");
    }
}
