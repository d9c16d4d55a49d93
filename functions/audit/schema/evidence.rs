//! What is observed at clients, from which tools it comes, and what Assay concludes.

use super::{
    Area, Field,
    Form::{Flag, Map, Number, Text, Time, WordOrMap},
    MAPS,
    Outcome::{Alarm, Done, Refused},
    TEXTS, always, kind, sometimes,
};

const RECORD: &str = "connection ID RECORD";

pub(super) const EVIDENCE: Area = Area {
    name: "evidence",
    title: "Evidence",
    kinds: &[
        kind(
            "evidence.observed",
            Done,
            "a record's key",
            "reported records of a tool",
            &[
                sometimes("record_type", Text, "what kind of record it is"),
                sometimes("hash", Text, "SHA-256 of the record, in hex"),
                sometimes("deleted", Flag, "whether the tool does not have it any more"),
                sometimes("delivery", Text, "the delivery that brought it, by id"),
                sometimes("population", Text, "how many there are in all, in words"),
                sometimes("revision", Number, "how often the record was written"),
                sometimes("records", MAPS, "of an inventory: key, hash and revision of each record, instead of the fields above"),
            ],
        ),
        kind(
            "evidence.filed",
            Done,
            "a document's key",
            "filed a document by its name, place and hash",
            &[
                sometimes("record_type", Text, "always empty: people say what a document shows"),
                always("hash", Text, "SHA-256 of the document, in hex, as the person gave it"),
                always("deleted", Flag, "no"),
                sometimes("delivery", Text, "always empty"),
                always("population", Text, "unknown"),
                always("revision", Number, "how often the record was written"),
            ],
        ),
        kind("evidence.missed", Done, "a record's key", "did not find a record in a read; the next read decides whether it is gone", &[]),
        kind(
            "evidence.put_back",
            Alarm,
            "a record's key",
            "found that an older state of a record was put back in the database",
            &[
                always("expected", Number, "the revision that this log knows"),
                sometimes("found", Number, "the revision that lies there; missing: none lies there"),
            ],
        ),
        kind(
            "evidence.quarantined",
            Alarm,
            RECORD,
            "set a record aside: it carries a CUI marking",
            &[
                always("record", Text, "which record of the tool"),
                always("marking", Text, "the marking that was found"),
                sometimes("kept", Flag, "false: nothing of the message was ever kept, because no CUI may lie there"),
            ],
        ),
        kind("evidence.purge_ordered", Done, RECORD, "ordered Assay's sealed copy of a record to be destroyed", PURGE),
        kind("evidence.purged", Done, RECORD, "destroyed Assay's sealed copy of a record, which carries a CUI marking", PURGE),
        kind(
            "evidence.seen_to",
            Done,
            RECORD,
            "saw to a record, which carries a CUI marking",
            &[always("record", Text, "which record of the tool")],
        ),
        kind(
            "analysis.recorded",
            Done,
            "record type NAME",
            "looked at new evidence",
            &[
                always("record_type", Text, "what kind of records, or filed_documents"),
                always("records", Number, "how many were looked at"),
                sometimes("first", Text, "the key of the first"),
                always("changed", MAPS, "each suggestion that changed: objective, and the suggestion before and after"),
            ],
        ),
    ],
};

const PURGE: &[Field] = &[
    always("record", Text, "which record of the tool"),
    always("copies", Number, "how many sealed copies there were"),
    sometimes("sha256", TEXTS, "SHA-256 of the bytes of each copy, in hex; missing before 0.2.0"),
];

pub(super) const TOOLS: Area = Area {
    name: "tools",
    title: "Connected tools",
    kinds: &[
        kind("connection.added", Done, "connection ID", "added a connection", CONNECTION),
        kind("connection.changed", Done, "connection ID", "changed a connection", CONNECTION_CHANGED),
        kind(
            "connection.tested",
            Done,
            "connection ID",
            "tested a connection",
            &[
                always("name", Text, "what people call it"),
                always("outcome", Text, "how the vendor answered: good, refused, wrong_company, unreachable, busy or strange"),
            ],
        ),
        kind(
            "company.mapped",
            Done,
            "connection ID company ID",
            "said which client a company of a tool is",
            &[
                always("connection", Text, "the connection, by id"),
                always("company", Text, "the tool's id of the company"),
                always("client", Text, "the client, by id"),
                sometimes("before", Text, "the client that it was until then, whose data keys were destroyed, by id"),
            ],
        ),
        kind(
            "webhook.delivery",
            Done,
            "delivery ID",
            "delivered an event",
            &[
                always("outcome", Text, "what became of it"),
                sometimes("reason", Text, "why, where it was not taken in"),
                sometimes("dedupe_key", Text, "by which the same event is known when it comes again"),
            ],
        ),
        kind(
            "webhook.rejected",
            Refused,
            "CONNECTION:HOUR:REASON",
            "refused a webhook call; repeats within the hour are counted, not listed",
            BEGUN,
        ),
        kind("alert.raised", Alarm, "CONNECTION:ALARM", "raised an alarm", BEGUN),
        kind("alert.cleared", Done, "connection ID", "saw to an alarm", &[always("alarm", Text, "which alarm")]),
        kind(
            "pull.started",
            Done,
            "connection ID",
            "began to read all configurations",
            &[always("companies", Number, "how many companies are read")],
        ),
        kind("pull.client_skipped", Alarm, "connection ID client ID", "left a client out of a read", &[always("reason", Text, "why")]),
        kind("pull.finished", Done, "connection ID", "read all configurations", PULLED),
        kind("pull.failed", Alarm, "connection ID", "stopped reading configurations", PULLED),
        kind("intake.waiting", Done, RECORD, "kept a record, sealed, until its company is mapped", WAITING),
        kind(
            "intake.crowded_out",
            Done,
            RECORD,
            "let an older change go: 20 newer ones of the same record wait for its company to be mapped",
            WAITING,
        ),
        kind("intake.released", Done, RECORD, "took in a record that waited for its company", &[]),
        kind(
            "intake.dropped",
            Done,
            RECORD,
            "deleted what waited of a record, or was held back: the data keys of its client were destroyed",
            &[always("company", Text, "the tool's id of the company"), always("deliveries", Number, "how many deliveries it was")],
        ),
    ],
};

const CONNECTION: &[Field] = &[
    always("vendor", Text, "which vendor's tool"),
    always("name", Text, "what people call it"),
    always("host", Text, "the tool's address"),
    always("settings", Map, "what is read, and how often; never a secret"),
    sometimes("webhook_guids", TEXTS, "Autotask: the ids of the webhooks whose events are taken in"),
];

const CONNECTION_CHANGED: &[Field] = &[
    CONNECTION[0],
    CONNECTION[1],
    CONNECTION[2],
    CONNECTION[3],
    CONNECTION[4],
    always("credentials_changed", Flag, "whether what Assay signs in with changed too"),
];

const BEGUN: &[Field] = &[always("at", Time, "when the first of its kind came")];

const PULLED: &[Field] = &[
    always("state", WordOrMap, "finished, or failed with why and the cause"),
    always("records", Number, "records that were read"),
    always("held_back", Number, "of these, set aside for a CUI marking"),
    always("clients_skipped", Number, "clients that were left out"),
];

const WAITING: &[Field] = &[always("company", Text, "the tool's id of the company"), always("delivery", Text, "the delivery, by id")];
