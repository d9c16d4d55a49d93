//! Metered billing of the managed plan: which clients were counted, and what the Marketplace was told.

use super::{
    Area, Field,
    Form::{Flag, Number, Text, Time},
    Outcome::{Alarm, Done},
    TEXTS, always, kind, sometimes,
};

const MONTH: Field = always("month", Text, "the calendar month, in UTC");
const HOUR: Field = always("hour", Time, "the hour in which they were counted, which their usage event is of");
const QUANTITY: Field = always("quantity", Number, "how many clients it stands for");

pub(super) const METERING: Area = Area {
    name: "metering",
    title: "Metered billing",
    kinds: &[
        kind(
            "metering.counted",
            Done,
            "month MONTH",
            "counted clients for metered billing, each once a month",
            &[
                MONTH,
                HOUR,
                always("clients", TEXTS, "which were counted now, by id"),
                always("counted", Number, "how many the month has counted, with these"),
                always("included", Number, "how many of each month the base fee includes"),
                always("billable", Number, "how many of these are above that, and will be reported"),
            ],
        ),
        kind(
            "metering.put_back",
            Alarm,
            "month MONTH",
            "found that whom the month had counted was deleted or put back in the database, and took it from the log",
            &[MONTH, always("clients", Number, "how many were counted by the log and not by the record")],
        ),
        kind(
            "metering.off",
            Done,
            "month MONTH",
            "stopped counting clients for metered billing, because the plan's setting was emptied",
            &[MONTH],
        ),
        kind(
            "metering.sent",
            Done,
            "month MONTH",
            "reported clients to the Marketplace, which took the number",
            &[
                MONTH,
                HOUR,
                QUANTITY,
                always("plan", Text, "the plan's id"),
                always("dimension", Text, "the dimension's id"),
                sometimes("usage_event", Text, "the Marketplace's own id of the event"),
                always("before", Flag, "whether the Marketplace had it already, from a try whose answer was lost"),
                sometimes("unshown", Flag, "that the Marketplace has an event of this hour, and did not show with which quantity"),
            ],
        ),
        kind(
            "metering.missed",
            Alarm,
            "month MONTH",
            "could not report clients to the Marketplace, and never will",
            &[
                MONTH,
                HOUR,
                QUANTITY,
                always("why", Text, "what the last try came to"),
                always("tried", Flag, "whether it was sent at least once: then it may have been taken, and the answer lost"),
            ],
        ),
    ],
};
