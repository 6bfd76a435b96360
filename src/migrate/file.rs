//! The migration files, as they are compiled into the binary.

/// One file: `-- +migrate Up`, its statements, `-- +migrate Down`, its statements.
#[derive(Debug)]
pub(super) struct Migration {
    /// The file's name, which is how it is recorded.
    pub(super) id: &'static str,
    text: &'static str,
}

/// How a part of a file is run.
#[derive(Debug)]
pub(super) enum Part {
    /// All statements in one transaction.
    Transaction(&'static str),
    /// One by one, outside of any transaction (`-- +migrate Up notransaction`).
    Single(Vec<&'static str>),
}

const UP: &str = "-- +migrate Up";
const DOWN: &str = "-- +migrate Down\n";
const NO_TRANSACTION: &str = " notransaction\n";

impl Migration {
    /// What applies it.
    pub(super) fn up(&self) -> Part {
        let after = self.text.split_once(UP).map_or("", |(_, after)| after);
        let text = after.split_once(DOWN).map_or(after, |(up, _)| up);
        match text.strip_prefix(NO_TRANSACTION) {
            Some(text) => {
                let statements = text.split(";\n").map(str::trim);
                Part::Single(statements.filter(|statement| !statement.is_empty()).collect())
            }
            None => Part::Transaction(text),
        }
    }

    /// What reverts it.
    pub(super) fn down(&self) -> &'static str {
        self.text.split_once(DOWN).map_or("", |(_, down)| down)
    }
}

macro_rules! files {
    ($folder:literal: $($name:literal,)*) => {
        &[$(Migration {
            id: concat!($name, ".sql"),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $name, ".sql")),
        },)*]
    };
}

/// The reference's migrations, in its order.
pub(super) const NAKAMA: &[Migration] = files!("migrations":
    "20180103142001_initial_schema",
    "20180805174141-tournaments",
    "20200116134800-facebook-instant-games",
    "20200615102232-apple",
    "20201005180855-console",
    "20210416090601-purchase",
    "20220426122825-subscription",
    "20221027145900-subscription-raw-columns",
    "20230222172540-purchases-not-null-uid-1",
    "20230222172540-purchases-not-null-uid-2",
    "20230706095800-leaderboard-list-index",
    "20240715155039-leaderboard-rank-enable",
    "20240725115145-purchase-index-change",
    "20240801100859-add-console-user-mfa",
    "20250113112512_add_user_edge_metadata",
    "20250703094700-add-console-settings",
    "20250926112031-console-fine-grained-acl",
    "20251015150737-add-user-notes-audit-acl-templates",
    "20260319134532-add-display-name-index",
);

/// Our own, in schema `guildhall`.
pub(super) const GUILDHALL: &[Migration] = files!("migrations/guildhall":
    "20261122000000-revocations",
    "20261122143000-leaderboard-calls",
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_file_is_listed_in_order_and_has_both_parts() {
        for (folder, migrations) in [("migrations", NAKAMA), ("migrations/guildhall", GUILDHALL)] {
            let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".sql"))
                .collect();
            files.sort();
            let listed: Vec<_> = migrations.iter().map(|migration| migration.id).collect();
            assert_eq!(listed, files);
            for migration in migrations {
                let up = match migration.up() {
                    Part::Transaction(text) => text.len(),
                    Part::Single(statements) => statements.len(),
                };
                assert!(up > 0 && !migration.down().trim().is_empty(), "{}", migration.id);
            }
        }
    }

    #[test]
    fn statements_outside_a_transaction_are_run_one_by_one() {
        let Part::Single(statements) = NAKAMA.last().unwrap().up() else { panic!() };
        assert_eq!(statements.len(), 2);
        assert!(statements[1].starts_with("CREATE INDEX CONCURRENTLY"));
    }
}
