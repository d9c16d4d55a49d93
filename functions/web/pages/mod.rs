//! Pages: one file per page with the plain view struct that is its template, and the HTML beside it.
//!
//! A view struct holds words, times and links, never a record of an area: the area above fills it, `triggers/portal`
//! renders it. Every text is escaped by the template engine; the few types that write HTML themselves are in `parts`,
//! `when` and `score`. Pages work without JavaScript, carry no inline style or script, and ask nothing of other hosts.

mod field;
mod fingerprint;
mod frame;
mod parts;
pub mod paths;
mod sampled;
mod score;
mod when;

mod access;
mod analytics;
mod audit_events;
mod audit_record;
mod audit_trail;
mod client;
mod clients;
mod connection_form;
mod connections;
mod dead_letters;
mod delivery;
mod health;
mod inbox;
mod keys;
mod lead_on;
mod mapping;
mod member;
mod message;
mod new_client;
mod offboarding;
mod people;
mod policy;
mod problem;
mod proposal;
mod propose_form;
mod requirement;
mod set_aside;
mod setup;
mod sign_in;
mod team;

pub use access::{AccessPage, AccessReviewForm, AccessRow, AnswerView, ReviewView};
pub use analytics::{AnalyticsPage, Chart, ClientFigures, Figure, LevelShare, RuleRow, SharingView};
pub use audit_events::{AuditEventsPage, EventArea, EventKind};
pub use audit_record::{AuditRecordPage, ProofView, RecordField, RecordStands};
pub use audit_trail::{AlarmLine, AuditPage, FindForm, KindGroup, LogKey, Reach, WitnessView};
pub use client::{Cell, ClientPage, Family, Fix};
pub use clients::{AccessReviewLink, ClientRow, ClientsPage, LimitedRole, UnreadableClient};
pub use connection_form::{ConnectionForm, ConnectionFormPage};
pub use connections::{AlarmView, ConnectionView, ConnectionsPage, LastPull, RejectCount, UnlistedType};
pub use dead_letters::{DeadLetterStand, DeadLetterView, DeadLettersPage, SameReason};
pub use delivery::{ChannelView, DeliveryPage, MailView, SampleView};
pub use field::{Choice, Field, FieldKind};
pub use fingerprint::fingerprint;
pub use frame::{Frame, Section, SignedIn};
pub use health::{HealthPage, PartView};
pub use inbox::{DecidedItem, InboxItem, InboxPage, ReviewItem, StandInItem, UndoItem};
pub use keys::KeysPage;
pub use lead_on::LeadOnPage;
pub use mapping::{LeftBehind, MappedLine, MappingPage, NamelessLine, WaitingCompany};
pub use member::{MemberPage, ToolsField};
pub use message::MessagePage;
pub use new_client::{NewClientPage, PersonRow, RoleBox};
pub use offboarding::{OffboardingPage, StepForm, StepView};
pub use parts::{EvidenceCard, FieldError, Hash, Link, PostForm, Standing, Tag, TimelineEntry, Tone};
pub use people::PeoplePage;
pub use policy::{AloneForm, DryRun, DryRunRow, GroupForm, GroupRow, Moved, PolicyPage, PolicyRow, RuleForm, StandInRow, StandingIn};
pub use problem::ProblemPage;
pub use proposal::{
    DecisionForm, DoneForm, FreshSignIn, LevelMark, ProposalPage, ProposalState, Quorum, ReviewForm, Run, Side, TakeBackForm, WithdrawForm,
};
pub use propose_form::ProposeForm;
pub use requirement::{FindingView, ObjectiveView, RejectionView, RequirementPage, SuggestionView};
pub use sampled::{SampledItemPage, SampledPage, SampledRow};
pub use score::Readings;
pub use set_aside::{SetAsideGroup, SetAsidePage, SetAsideRecord};
pub use setup::{SetupPage, SetupStep};
pub use sign_in::{DemoPerson, SignInPage};
pub use team::{AskingView, FormerView, IdentityView, MemberView, TeamPage};
pub use when::{Ago, Deadline, day};
