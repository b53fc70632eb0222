//! A page of a list, taken apart once and kept as the bytes that came.

use crate::{Interval, Observation, Source};
use bytes::Bytes;
use gateway::Answer;
use kit::Time;
use std::ops::Range;
use stripe::{CallError, Head};

/// A page with the places of its objects in it, so that nothing is copied until it is written.
#[derive(Debug)]
pub(crate) struct FetchedPage {
    body: Bytes,
    pub(crate) objects: Vec<PagedObject>,
    pub(crate) has_more: bool,
    pub(crate) began: Time,
    pub(crate) ended: Time,
}

/// One object of a page.
#[derive(Debug)]
pub(crate) struct PagedObject {
    place: Range<usize>,
    object_type: String,
    pub(crate) id: String,
    created: Option<Time>,
    deleted: bool,
}

impl PagedObject {
    pub(crate) fn second(&self) -> Option<i64> {
        self.created.map(Time::seconds)
    }
}

impl FetchedPage {
    /// Takes a page apart. An object without an id is a page of another shape than lists have.
    pub(crate) fn read(answer: Answer) -> Result<FetchedPage, CallError> {
        let response = answer.response;
        let text = response.text();
        let page = response.page()?;
        let mut objects = Vec::with_capacity(page.data.len());
        for raw in &page.data {
            let head = Head::read(raw.get()).map_err(|_| response.unexpected())?;
            let Some(id) = head.id else { return Err(response.unexpected()) };
            let begin = raw.get().as_ptr().addr() - text.as_ptr().addr();
            objects.push(PagedObject {
                place: begin..begin + raw.get().len(),
                object_type: head.object.into_owned(),
                id: id.into_owned(),
                created: head.created,
                deleted: head.deleted,
            });
        }
        let has_more = page.has_more;
        Ok(FetchedPage { objects, has_more, began: answer.began, ended: answer.ended, body: response.body })
    }

    /// The objects as they were seen.
    pub(crate) fn observations(&self, source: Source, seen: Interval) -> impl Iterator<Item = Observation<'_>> {
        // Checked to be UTF-8 when the answer came.
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        self.objects.iter().map(move |object| Observation {
            object_type: &object.object_type,
            id: &object.id,
            body: text.get(object.place.clone()).unwrap_or_default(),
            created: object.created,
            source,
            seen,
            deleted: object.deleted,
            stub: object.deleted,
        })
    }
}
