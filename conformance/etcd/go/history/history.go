package main

// What is kept of a run, and all that the checker knows of it.

type kind int

const (
	put kind = iota
	remove
	get
	swap
)

// A put writes a second key in the same revision.
const shadow = "shadow/"

// One call of a client.
type call struct {
	kind kind
	key  string
	// What is written.
	value string
	// A swap: the revision that the key must have been changed at.
	compare int64

	start, end int64
	// It failed, and nobody knows whether it came true.
	unknown bool

	// Of the answer's header.
	revision int64
	// A swap that came true; a delete that found the key.
	done bool
	// What a get found, or a swap that did not come true.
	found state
}

// A key as it is at some revision; modified 0: it is not there.
type state struct {
	value    string
	modified int64
}

type event struct {
	key      string
	value    string
	revision int64
	deleted  bool
	previous state
}

// One answer on a watch. Without events it says that everything up to the revision was told.
type told struct {
	revision int64
	events   []event
}

// What one watcher was told over all its reconnections.
type watcher struct {
	key    string
	start  int64
	told   []told
	prefix bool
	// It does not ask what keys were before.
	bare bool
}

type history struct {
	calls    []call
	watchers []watcher
	// Told by one watcher from the beginning, when everything was over.
	log []event
	// That of the delete at which the log was compacted then.
	from int64
}

func (h history) copied() history {
	c := history{from: h.from, calls: append([]call(nil), h.calls...), log: append([]event(nil), h.log...)}
	for _, w := range h.watchers {
		again := w
		again.told = nil
		for _, t := range w.told {
			again.told = append(again.told, told{t.revision, append([]event(nil), t.events...)})
		}
		c.watchers = append(c.watchers, again)
	}
	return c
}
