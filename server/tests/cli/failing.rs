//! A start that fails says what happened, why, and what to do next.

use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;

use redb::ReadableDatabase;

use crate::support::{Served, run_in};

#[test]
fn a_port_that_is_taken_names_the_flag_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let said =
        run_in(folder.path(), &["serve", "--only", "native", "--listen", &format!("native={address}")])
            .expect(1);
    said.err_says(&[
        &format!("port {} is already in use", address.port()),
        "--listen native=",
        "--disable native",
    ]);
}

#[test]
fn a_listener_beyond_this_machine_must_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        run_in(folder.path(), &["serve", "--only", "native", "--listen", "native=0.0.0.0:0"]).expect(2);
    said.err_says(&["without TLS", "native.tls", "--set native.insecure=true"]);
}

#[test]
fn a_data_folder_that_is_in_use_is_left_alone() {
    let served = Served::start();
    let said = run_in(served.folder.path(), &["serve", "--only", "native", "--listen", "native=127.0.0.1:0"])
        .expect(1);
    said.err_says(&["switchboard.redb is in use", "--data-dir DIR"]);
    served.run(&["health"]).expect(0);
}

#[test]
fn what_cannot_be_imported_is_named_and_changes_nothing() {
    let served = Served::start();
    let file = served.folder.path().join("no.db");
    std::fs::write(&file, [7; 100_000]).unwrap();
    let said = run_in(served.folder.path(), &["import", "etcd", "no.db"]).expect(1);
    said.err_says(&["switchboard.redb is in use", "--data-dir DIR"]);
    let folder = served.stop();
    let said = run_in(folder.path(), &["import", "etcd", "no.db"]).expect(1);
    said.err_says(&["no.db cannot be imported", "it is no file of etcd's"]);
    let said = run_in(folder.path(), &["import", "etcd", "none.db"]).expect(1);
    said.err_says(&["none.db cannot be imported", "No such file"]);
}

#[test]
fn a_data_folder_of_a_newer_version_is_left_alone() {
    let folder = Served::start().stop();
    let file = folder.path().join("switchboard-data/switchboard.redb");
    let newer = [99, 0, 0, 0];
    let table: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert("switchboard", newer.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let said =
        run_in(folder.path(), &["serve", "--only", "native", "--listen", "native=127.0.0.1:0"]).expect(1);
    said.err_says(&["format 99", "a newer switchboard wrote it", "--data-dir DIR"]);
    let database = redb::Database::open(&file).unwrap();
    let table = database.begin_read().unwrap().open_table(table).unwrap();
    assert_eq!(table.get("switchboard").unwrap().unwrap().value(), newer);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = Served::start().stop();
    let path = folder.path().join("switchboard-data/switchboard.redb");
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[7; 1024]).unwrap();
    for command in ["serve", "doctor"] {
        let said =
            run_in(folder.path(), &[command, "--only", "native", "--listen", "native=127.0.0.1:0"]).expect(1);
        let all = said.out + &said.err;
        for words in ["switchboard.redb is damaged", "restore it from a backup"] {
            assert!(all.contains(words), "no {words:?} in {all}");
        }
    }
}

#[test]
fn a_wrong_configuration_is_a_matter_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("switchboard.toml"), "[native]\nlisen = '127.0.0.1:0'\n").unwrap();
    for command in [&["serve"][..], &["config", "check"], &["config", "print"]] {
        run_in(folder.path(), command).expect(2).err_says(&["switchboard.toml:2: native.lisen", "`listen`"]);
    }
    run_in(folder.path(), &["config", "check", "--config", "nowhere.toml"])
        .expect(2)
        .err_says(&["nowhere.toml"]);
    let said = run_in(folder.path(), &["doctor"]).expect(1);
    assert!(said.out.contains("fail  config"), "{}", said.out);
}

#[test]
fn the_example_is_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let example = run_in(folder.path(), &["config", "example"]).expect(0).out;
    std::fs::write(folder.path().join("switchboard.toml"), example).unwrap();
    run_in(folder.path(), &["config", "check"]).expect(0);
    let with_file = run_in(folder.path(), &["config", "print"]).expect(0).out;
    std::fs::remove_file(folder.path().join("switchboard.toml")).unwrap();
    assert_eq!(with_file, run_in(folder.path(), &["config", "print"]).expect(0).out);
}

#[test]
fn the_doctor_reads_all_of_the_data_when_asked_to() {
    let served = Served::start();
    served.run(&["register", "web", "10.0.0.1:80"]).expect(0);
    let folder = served.stop();
    let doctor = [
        "doctor",
        "--verify",
        "--only",
        "native",
        "--listen",
        "native=127.0.0.1:0",
        "--server",
        "http://127.0.0.1:1",
    ];
    let said = run_in(folder.path(), &doctor).expect(0);
    for words in ["all of it was read", "warn  server", "switchboard serve"] {
        assert!(said.out.contains(words), "no {words:?} in {}", said.out);
    }
}
