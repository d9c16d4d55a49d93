//! Somebody who can sign in: what an owner may change of them.

use askama::Template;

use super::{Choice, Field, FieldError, FieldKind, Frame, IdentityView};

#[derive(Clone, Debug, Template)]
#[template(path = "member.html", config = "functions/web/pages/askama.toml")]
pub struct MemberPage {
    pub frame: Frame,
    pub clients_href: String,
    pub team_href: String,
    /// What they are called now, whatever the form says.
    pub person: String,
    /// `None` for who does not sign in with Entra ID.
    pub who: Option<IdentityView>,
    pub action: String,
    pub token: String,
    /// What the form was made from, so that a change in between is not overwritten unseen.
    pub seen: String,
    pub name: Field,
    pub email: Field,
    pub tools: ToolsField,
    pub same_as: Field,
    /// Why the form came back; each leads to its field.
    pub errors: Vec<FieldError>,
}

/// Whether they run the MSP's tools.
#[derive(Clone, Debug)]
pub enum ToolsField {
    Choice(bool),
    /// Why that cannot be chosen.
    Fixed(&'static str),
}

impl MemberPage {
    /// The field of the name, as it was typed or as it is kept.
    pub fn name_field(value: String, errors: &[FieldError]) -> Field {
        Field::new("name", "Name", "", FieldKind::Text, value).required().with_errors(errors)
    }

    pub fn email_field(value: String, errors: &[FieldError]) -> Field {
        let hint = "Mails go there. Which account they sign in with does not change by it.";
        Field::new("email", "E-mail", hint, FieldKind::Text, value).required().with_errors(errors)
    }

    /// Whose other account this is, of these.
    pub fn same_as_field(value: String, people: Vec<Choice>, errors: &[FieldError]) -> Field {
        let hint = "For somebody with two accounts, such as a guest who also has one of your own: the human counts once where several must decide, and does not decide what the other account asked for. Accounts with the same e-mail address count as one anyway. Leave it where there is no other account.";
        Field::new("same-as", "The same human as", hint, FieldKind::OneOf(people), value).with_errors(errors)
    }
}
