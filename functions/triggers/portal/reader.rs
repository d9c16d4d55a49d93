//! Who reads or acts: a signed-in person with the grants they have now, read for this request and not kept.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use url::form_urlencoded;

use super::team;
use crate::{
    app::App,
    gate::inbox,
    tenancy::{
        DeploymentPlace, DeploymentScope, Roster, Scope, Store, StoreError, TenantId,
        directory::{Grant, Person, Proof, Role, Session, SwitchedOff, Tenant},
        keys::{self, Owner},
        seal::DataKey,
    },
    web::{
        Problem, Reply, Request,
        pages::{Frame, Section, SignedIn, paths},
        reply, security,
        session::{self, Current, SetCookie},
        step_up,
    },
};

pub(super) struct Reader<'a> {
    pub(super) app: &'a App,
    pub(super) request: &'a Request,
    pub(super) person: Person,
    /// For the clients whose record they may read.
    pub(super) grants: Vec<Grant>,
    /// The same for clients that are switched off: they give nothing until then.
    pub(super) resting: Vec<Grant>,
    pub(super) roster: Arc<Roster>,
    session: Session,
    key: DataKey,
    /// The session's cookie anew, when it is due: whoever uses the pages stays signed in.
    renewed: Option<SetCookie>,
}

impl<'a> Reader<'a> {
    pub(super) async fn of(app: &'a App, request: &'a Request) -> Result<Option<Self>, Problem> {
        let Some(current) = session::current(app, request).await? else { return Ok(None) };
        let grants = current.roster.grants_for(current.person.id, app.now()).filter(|grant| grant.reads_the_record()).cloned().collect();
        let resting = current.roster.every_grant().filter(|grant| {
            grant.person == current.person.id && current.roster.is_off(grant.tenant()) && grant.holds(app.now()) && grant.reads_the_record()
        });
        let resting = resting.cloned().collect();
        let key = keys::data_key(app, Owner::Deployment).await?;
        let renewed = session::renewed(app, request, &current, &key);
        let Current { session, person, roster, .. } = current;
        Ok(Some(Self { app, request, person, grants, resting, roster, session, key, renewed }))
    }

    /// The reply with the session's cookie, when it is due and the reply says nothing else about it.
    pub(super) fn keep(&self, reply: Reply) -> Reply {
        match &self.renewed {
            Some(cookie) if reply.header("set-cookie").is_none() => reply.with("set-cookie", cookie.header()),
            _ => reply,
        }
    }

    /// When and how they proved who they are, as the authority says it.
    pub(super) fn proof(&self) -> &Proof {
        &self.session.proof
    }

    pub(super) fn correlation(&self) -> &str {
        &self.request.invocation_id
    }

    /// The deployment's records in this person's name.
    pub(super) async fn deployment(&self) -> Result<Store<'a, DeploymentPlace>, StoreError> {
        self.deployment_scope().store(self.app).await
    }

    pub(super) fn deployment_scope(&self) -> DeploymentScope {
        DeploymentScope::of_session(&self.session, self.correlation())
    }

    /// The client and this person's grant for it; a client without a grant looks like one that does not exist, and who has one
    /// hears that it is switched off.
    pub(super) fn client(&self, tenant: &str) -> Result<(Tenant, &Grant), Problem> {
        let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
        if self.resting.iter().any(|grant| grant.tenant() == id) {
            return Err(Problem::switched_off());
        }
        let grant = self.grants.iter().find(|grant| grant.tenant() == id).ok_or_else(Problem::not_found)?;
        let tenant = self.roster.tenant(id).cloned().ok_or_else(Problem::not_found)?;
        Ok((tenant, grant))
    }

    pub(super) fn scope(&self, grant: &Grant) -> Scope {
        Scope::of_person(grant, self.correlation())
    }

    /// For the last words in the log of a client that is switched off.
    pub(super) fn ending_scope(&self, off: &SwitchedOff) -> Scope {
        Scope::of_ending(off, &self.session, self.correlation())
    }

    /// The client as an engineer of it.
    pub(super) fn engineer_of(&self, tenant: &str) -> Result<(Tenant, &Grant), Problem> {
        let (tenant, grant) = self.client(tenant)?;
        if grant.has(Role::Engineer) { Ok((tenant, grant)) } else { Err(not_for_you("an engineer of this client")) }
    }

    /// What they have for clients whose record they do not read: assessors and the roles of the training.
    pub(super) fn limited(&self) -> impl Iterator<Item = &Grant> {
        self.roster.grants_for(self.person.id, self.app.now()).filter(|grant| !grant.reads_the_record())
    }

    /// The client of which they take a copy of the log, and whether its content comes along: never to an assessor.
    pub(super) fn takes_the_log_of(&self, tenant: &str) -> Result<(Tenant, &Grant, bool), Problem> {
        let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
        match self.limited().find(|grant| grant.tenant() == id && grant.has(Role::Assessor)) {
            Some(grant) => Ok((self.roster.tenant(id).cloned().ok_or_else(Problem::not_found)?, grant, false)),
            None => self.client(tenant).map(|(tenant, grant)| (tenant, grant, true)),
        }
    }

    /// Tools, mapping, dead letters and the installation's log belong to the MSP, never to a client's own engineer.
    pub(super) fn operates(&self) -> bool {
        self.person.runs_the_tools()
    }

    pub(super) fn must_operate(&self) -> Result<(), Problem> {
        if self.operates() { Ok(()) } else { Err(not_for_you("the MSP's owner or one of its own people who run its tools")) }
    }

    pub(super) fn eyes(&self) -> inbox::Reader<'_> {
        inbox::Reader { person: &self.person, grants: &self.grants, roster: &self.roster, correlation: self.correlation() }
    }

    pub(super) async fn frame(&self, section: Section) -> Result<Frame, Problem> {
        let waiting = inbox::count(self.app, self.eyes()).await?;
        let mut roles: Vec<&str> = Vec::new();
        if self.person.is_owner {
            roles.push("Owner");
        }
        for role in [Role::Engineer, Role::Approver, Role::Auditor] {
            if self.grants.iter().any(|grant| grant.has(role)) {
                roles.push(role.word());
            }
        }
        for role in [Role::Assessor, Role::TrainingManager, Role::Learner] {
            if self.limited().any(|grant| grant.has(role)) {
                roles.push(role.word());
            }
        }
        if roles.is_empty() {
            roles.push(if self.operates() { "Runs the tools" } else { "For no client yet" });
        }
        let signed_in = SignedIn {
            name: self.person.name.clone(),
            roles: roles.join(", "),
            operates: self.operates(),
            owns: self.person.is_owner,
            sign_out_token: self.token(&["sign-out"]),
        };
        let frame = Frame::new(&self.app.config, self.app.now(), section, Some(signed_in), waiting);
        Ok(Frame { asking: team::asking(self).await?, ..frame })
    }

    /// The anti-forgery token of a form that says exactly this.
    pub(super) fn token(&self, what: &[&str]) -> String {
        security::form_token(&self.key, &self.session, what)
    }

    /// The same with the moment at which the page that it stands on was shown.
    pub(super) fn timed_token(&self, what: &[&str], shown_at: OffsetDateTime) -> String {
        security::timed_form_token(&self.key, &self.session, what, shown_at)
    }

    /// When the page was shown from which the form with exactly these words came; `None` when it is no such form.
    pub(super) fn shown_at(&self, what: &[&str]) -> Option<OffsetDateTime> {
        security::timed_form_token_holds(&self.key, &self.session, what, &self.field("token"))
    }

    /// Before a form does anything: it came from our own page, and its token is of this session and these words.
    pub(super) fn must_be_own_form(&self, what: &[&str]) -> Result<(), Problem> {
        let holds = security::form_token_holds(&self.key, &self.session, what, &self.field("token"));
        self.own(holds.then_some(()))
    }

    /// The same for a form with a timed token; returns when its page was shown.
    pub(super) fn must_be_own_timed_form(&self, what: &[&str]) -> Result<OffsetDateTime, Problem> {
        self.own(self.shown_at(what))
    }

    fn own<T>(&self, token: Option<T>) -> Result<T, Problem> {
        let ours = token.filter(|_| security::same_origin(self.request, &self.app.config));
        ours.ok_or_else(|| Problem::foreign_form(
            "This form did not come from a page that you opened here, or it is of an earlier sign-in. Nothing was done: open the page again.",
        ))
    }

    /// Before a change of great effect: they proved who they are a short while ago.
    pub(super) fn must_have_proved_it(&self) -> Result<(), Problem> {
        if step_up::is_proved(self.app, &self.session) { Ok(()) } else { Err(self.to_prove(step_up::FRESH)) }
    }

    /// What they are told who must have proved it within that time first.
    pub(super) fn to_prove(&self, within: Duration) -> Problem {
        step_up::problem(self.app, &self.session, within)
    }

    /// Where they prove it, if they did not within that time, and then come back to this page.
    pub(super) fn proves_at(&self, within: Duration, page: &str) -> Option<String> {
        let is_fresh = self.session.proof.at.is_some_and(|at| self.app.now() - at <= within);
        (!is_fresh).then(|| paths::confirm_then(page))
    }

    /// The way back after a deed.
    pub(super) fn back_to(&self, page: &str, name: &str, done: &str) -> Reply {
        reply::redirect(&self.saying(page, name, done))
    }

    /// The page, with what was done for it to say. It does so to this session only: anybody can write a link, and a link
    /// alone must not state a deed.
    pub(super) fn saying(&self, page: &str, name: &str, done: &str) -> String {
        let proof = self.token(&["done", name, done]);
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair(name, done).append_pair("proof", &proof).finish();
        format!("{page}?{query}")
    }

    /// What [`Reader::saying`] told this session under this name.
    pub(super) fn done(&self, name: &str) -> Option<String> {
        let (done, proof) = (self.request.query_value(name)?, self.request.query_value("proof")?);
        security::form_token_holds(&self.key, &self.session, &["done", name, &done], &proof).then_some(done)
    }

    /// A form field, without surrounding blanks; empty when it is missing.
    pub(super) fn field(&self, name: &str) -> String {
        self.request.form_value(name).unwrap_or_default().trim().to_owned()
    }

    pub(super) async fn inbox(&self, after: Option<&str>, limit: usize) -> Result<inbox::Inbox, StoreError> {
        inbox::inbox(self.app, self.eyes(), after, limit).await
    }
}

fn not_for_you(who: &str) -> Problem {
    Problem::forbidden(format!("Only {who} can do this. Nothing was done; ask one of them."))
}
