//! What one record that cannot be read leaves of a step over many: it is passed by, the others are done, and the step fails at
//! its end, so that the failure is seen for as long as it lasts.

use super::StoreError;

#[derive(Debug, Default)]
pub struct Passed(Option<StoreError>);

impl Passed {
    /// What was found; `None`: it is passed by. What concerns more than one record ends the step.
    pub fn by<T>(&mut self, found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.concerns_one_record() => {
                tracing::error!(error = %error, "a record is passed by");
                self.0.get_or_insert(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// All that can be read of a list.
    pub fn all<T>(&mut self, found: Vec<Result<T, StoreError>>) -> Result<Vec<T>, StoreError> {
        let mut readable = Vec::with_capacity(found.len());
        for one in found {
            readable.extend(self.by(one)?);
        }
        Ok(readable)
    }

    /// What the step came to, unless something was passed by.
    pub fn end<T>(self, done: T) -> Result<T, StoreError> {
        self.0.map_or(Ok(done), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_that_cannot_be_read_is_passed_by_and_said_at_the_end_and_what_concerns_more_ends_the_step() {
        let newer = || StoreError::NewerRelease { document: "open:1".into(), schema: 3, known: 2 };
        let mut passed = Passed::default();
        assert_eq!(passed.all(vec![Ok(1), Err(newer()), Ok(2)]).expect("those that can be read"), [1, 2]);
        assert!(passed.by::<u8>(Err(StoreError::Refused { refused: vec![] })).is_err());
        assert!(matches!(passed.end(2), Err(StoreError::NewerRelease { .. })));
        assert_eq!(Passed::default().end(2).expect("nothing was passed by"), 2);
    }
}
