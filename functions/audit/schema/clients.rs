//! Clients from their beginning to their end, and the keys that keep their records.

use super::{
    Area, Field,
    Form::{Flag, Map, Number, Text, Time},
    MAPS,
    Outcome::{Alarm, Done, Refused},
    TEXTS, always, kind, sometimes,
};

const NAME: Field = always("name", Text, "the client's name");
const CLIENT: &str = "client ID";
const LOG_ALARM: &str = "why the end of the client's log is in doubt";
const MANIFEST: &str = "SHA-256 of the copy's list of files, in hex";
const KEPT_AT: &str = "where the copy is kept";

pub(super) const CLIENTS: Area = Area {
    name: "clients",
    title: "Clients",
    kinds: &[
        kind(
            "client.added",
            Done,
            CLIENT,
            "added a client",
            &[
                NAME,
                always("grants", MAPS, "who may do what: person, roles and last day of each"),
                sometimes("key", Text, "the vault key that a person named for it"),
                sometimes("regions", Text, "the regions in which its records may be read"),
            ],
        ),
        kind(
            "sharing.changed",
            Done,
            CLIENT,
            "changed whether a client's counts are added to those of others",
            &[always("client", Text, "the client, by id"), always("takes_part", Flag, "whether they are, without telling whose they are")],
        ),
        kind("client.offboarding.begun", Done, CLIENT, "began to offboard a client", &[NAME, always("reason", Text, "why")]),
        kind(
            "client.offboarding.exported",
            Done,
            CLIENT,
            "took a copy of everything of a client",
            &[
                NAME,
                always("entries", Number, "entries of the client's log in the copy"),
                always("root", Text, "the log's root at that length, in hex"),
                always("manifest", Text, MANIFEST),
                always("files", Number, "files in the copy"),
                always("unreadable", Number, "records that do not open and are named in the copy instead"),
            ],
        ),
        kind(
            "client.offboarding.not_exportable",
            Done,
            CLIENT,
            "said that no copy of a client can be made, since its key cannot be used",
            &[
                NAME,
                always("why", Text, "what is wrong with its key"),
                always("copies", Text, "which earlier copies there are, and where"),
                always("log", Text, "the name of the client's log"),
                always("entries", Number, "its length as it was last published"),
                always("root", Text, "its root at that length, in hex"),
                sometimes("earlier", Text, MANIFEST),
                sometimes("alarm", Text, LOG_ALARM),
            ],
        ),
        kind(
            "client.offboarding.kept",
            Done,
            CLIENT,
            "said where the copy of a client is kept",
            &[NAME, always("manifest", Text, MANIFEST), always("kept_at", Text, KEPT_AT)],
        ),
        kind(
            "client.offboarding.switched_off",
            Done,
            CLIENT,
            "switched a client off",
            &[NAME, always("destroy_from", Time, "from when on its data keys may be destroyed")],
        ),
        kind(
            "client.offboarding.taken_back",
            Done,
            CLIENT,
            "took the offboarding of a client back",
            &[NAME, always("was_off", Flag, "whether the client was switched off")],
        ),
        kind(
            "client.offboarding.destroying",
            Done,
            CLIENT,
            "ordered this client's data keys to be destroyed; nothing can be added to this log after it",
            &[
                always("off_at", Time, "since when the client is switched off"),
                always("epochs", Number, "how many data keys there are"),
                always("export", Text, MANIFEST),
                sometimes("kept_at", Text, KEPT_AT),
                always("entries", Number, "entries of this log in the copy"),
                always("root", Text, "the log's root at that length, in hex"),
            ],
        ),
        kind(
            "client.offboarding.destroyed",
            Done,
            CLIENT,
            "destroyed the data keys of a client",
            &[
                NAME,
                always("epochs", Number, "how many data keys there were"),
                always("vault_key", Text, "the vault key that wrapped them"),
                sometimes("vault_version", Text, "and its version"),
                always("log", Text, "the name of the client's log"),
                always("entries", Number, "its length at the end"),
                always("root", Text, "its root at the end, in hex"),
                always("export", Text, MANIFEST),
                sometimes("kept_at", Text, KEPT_AT),
                sometimes("other_vault_keys", TEXTS, "vault keys that wrapped them before"),
                sometimes("not_exportable", Text, "why no copy could be made"),
                sometimes("record_lost", Flag, "whether the record of the data keys was not there any more"),
                sometimes("alarm", Text, LOG_ALARM),
                sometimes("about_alarm", Text, "what the owner says of that"),
            ],
        ),
        kind(
            "client.offboarding.raw_deleted",
            Done,
            CLIENT,
            "deleted the raw bytes behind the records of a client, and those that never became a record",
            &[NAME, always("files", Number, "how many")],
        ),
        kind(
            "client.offboarding.vault_key_gone",
            Done,
            CLIENT,
            "found that the vault key of a client is deleted",
            &[NAME, always("vault_key", Text, "which vault key")],
        ),
        kind(
            "client.offboarding.vault_key_stated",
            Done,
            CLIENT,
            "recorded whose word it is that the vault key of a client is deleted, where the vault does not say",
            &[
                NAME,
                always("vault_key", Text, "which vault key"),
                always("who", Text, "who states it"),
                always("since", Text, "since which day, as they state"),
                always("writing", Text, "where that stands in writing"),
                always("why", Text, "why the vault could not be looked at"),
            ],
        ),
        kind(
            "client.offboarding.vault_key_back",
            Alarm,
            CLIENT,
            "found that the deleted vault key of a client is there again",
            &[
                NAME,
                always("vault_key", Text, "which vault key"),
                always("gone_at", Time, "when it was found deleted"),
                sometimes("looks", Map, "how often it was looked since then, and when last"),
                sometimes("stated_by", Text, "who had stated that it is deleted"),
            ],
        ),
        kind(
            "client.offboarding.certified",
            Done,
            CLIENT,
            "issued the certificate of destruction for a client",
            &[
                NAME,
                always("sha256", Text, "SHA-256 of the certificate's text, in hex"),
                always("kid", Text, "the key that signed it"),
                sometimes("looks", Number, "how often the vault was looked at since its key was gone"),
                sometimes("stated_by", Text, "who states that the vault key is deleted"),
            ],
        ),
    ],
};

pub(super) const KEYS: Area = Area {
    name: "keys",
    title: "Keys",
    kinds: &[
        kind(
            "key.rotation_ordered",
            Done,
            "data key NUMBER",
            "ordered a further data key",
            &[BEFORE, AFTER, always("reason", Text, "why")],
        ),
        kind("key.rotated", Done, "data key NUMBER", "gave these records a further data key", &[BEFORE, AFTER]),
        kind(
            "key.put_back",
            Alarm,
            CLIENT,
            "found that an earlier record of a client's data keys was put back: values are sealed under a data key of before",
            &[
                BEFORE,
                always("after", Number, "the newest data key of the record that was put there"),
                sometimes("destroyed_at", Time, "when its data keys were destroyed: then the record was overwritten again"),
            ],
        ),
        kind(
            "key.lost",
            Alarm,
            CLIENT,
            "found that the record of a client's data keys is gone, or says that they were destroyed, which they were not",
            &[BEFORE],
        ),
        kind(
            "key.rewrapped",
            Done,
            "data key NUMBER",
            "wrapped the data keys with another version of the vault key",
            &[
                always("before", Map, "the vault key and its version until then"),
                always("after", Map, "the vault key and its version from then on"),
            ],
        ),
        kind(
            "key.vault_key_changed",
            Done,
            CLIENT,
            "let another key of a vault wrap a client's data keys",
            &[
                always("before", Text, "the vault key until then"),
                always("before_version", Text, "and its version"),
                always("after", Text, "the vault key from then on"),
            ],
        ),
        kind(
            "key.resealed",
            Done,
            "data key NUMBER",
            "sealed records again under the newest data key",
            &[
                always("documents", Number, "how many"),
                sometimes("unreadable", Number, "how many do not open and stay as they are"),
                sometimes("why", Map, "these by reason"),
            ],
        ),
        kind(
            "key.regions_changed",
            Done,
            "regions",
            "changed the regions in which the records may be read",
            &[sometimes("before", Text, "regions until then; empty: any"), sometimes("after", Text, "regions from then on; empty: any")],
        ),
        kind(
            "key.used",
            Done,
            "client ID",
            "unwrapped a client's data keys; said once a day",
            &[always("vault_key", Text, "the vault key that wraps them"), always("vault_version", Text, "and its version")],
        ),
        kind(
            "key.unavailable",
            Refused,
            "who was refused",
            "was refused a client's records, whose key cannot be used; repeats within the hour are counted",
            &[always("why", Text, "the client, and what is wrong with its key")],
        ),
        kind("key.lifted", Done, "data key NUMBER", "gave the record of the data keys this release's form, signed", &[]),
        kind(
            "key.signed",
            Done,
            "data key NUMBER",
            "signed the record of the data keys with a newer key of the vault",
            &[always("before", Text, "the name of the key that had signed it"), always("after", Text, "and of the one that has now")],
        ),
    ],
};

const BEFORE: Field = always("before", Number, "the newest data key until then");
const AFTER: Field = always("after", Number, "the newest data key from then on");

pub(super) const LOG: Area = Area {
    name: "log",
    title: "This log, and messages inside Assay",
    kinds: &[
        kind(
            "record.unreadable",
            Alarm,
            "client ID or installation",
            "found that a record does not open: it was changed or damaged outside of Assay; said once an hour for each client",
            &[
                always("document", Text, "kind and key of the first one"),
                always("why", Text, "what is wrong with it"),
                always("reader", Text, "who wanted to read it"),
            ],
        ),
        kind(
            "anchors.lock_recorded",
            Done,
            "installation",
            "recorded that the copies of the logs are locked against changes",
            &[
                always("level", Text, "how much of a human it took: L3, a named person does it"),
                always("account", Text, "the storage account"),
                always("days", Number, "for how many days each copy is held, as Azure answered"),
                always("answer", Text, "SHA-256 of that answer, in hex"),
            ],
        ),
        kind(
            "log.key-made",
            Done,
            "log",
            "made the key that signs the logs",
            &[always("installation", Text, "the name that every log of this installation begins with")],
        ),
        kind(
            "log.exported",
            Done,
            "log",
            "asked for a copy of this log to verify",
            &[always("disclosed", Flag, "whether the copy has the content of the entries, too")],
        ),
        kind(
            "log.migrated",
            Done,
            "log",
            "took the entries of an earlier release into this log",
            &[always("entries", Number, "how many"), always("head", Text, "the last hash of the chain that the earlier release kept")],
        ),
        kind(
            "log.alarm",
            Alarm,
            "log",
            "found that this log, or a copy of its checkpoint, is not as it was published",
            &[always("why", Text, "what is wrong")],
        ),
        kind(
            "log.gap",
            Alarm,
            "log",
            "found that audit items were taken away before they had their place, or the log's head was",
            &[always("why", Text, "which, and where")],
        ),
        kind(
            "message.dead",
            Alarm,
            "message ID",
            "could not process a message",
            &[
                always("queue", Text, "the queue it came by"),
                always("reason", Text, "why"),
                always("times", Number, "how often it came to this"),
            ],
        ),
        kind("message.replayed", Done, "message ID", "sent a message again", &[always("queue", Text, "the queue it goes to")]),
        kind(
            "message.seen_to",
            Done,
            "message ID",
            "saw to a message that could not be processed",
            &[always("queue", Text, "the queue it came by"), always("reason", Text, "why it could not be processed")],
        ),
    ],
};
