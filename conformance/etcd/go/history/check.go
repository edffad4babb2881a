package main

import (
	"fmt"
	"sort"
	"strings"
)

// The log as it must be read at each revision.
type ledger struct {
	log []event
	// Of each key the indices of its events, in order.
	of map[string][]int
}

// What a key was at a revision.
func (l *ledger) at(key string, revision int64) state {
	events := l.of[key]
	n := sort.Search(len(events), func(i int) bool { return l.log[events[i]].revision > revision })
	if n == 0 {
		return state{}
	}
	if e := l.log[events[n-1]]; !e.deleted {
		return state{e.value, e.revision}
	}
	return state{}
}

// The first thing that is wrong.
func check(h history) error {
	l, err := ordered(h)
	if err != nil {
		return err
	}
	if err := kept(h, l); err != nil {
		return err
	}
	if err := serial(h, l); err != nil {
		return err
	}
	for i, w := range h.watchers {
		if err := sliced(w, l); err != nil {
			return fmt.Errorf("watcher %d of %q from %d: %w", i, w.key, w.start, err)
		}
	}
	return nil
}

// Revisions go up, and each key is once in each.
func ordered(h history) (*ledger, error) {
	l := &ledger{log: h.log, of: map[string][]int{}}
	for i, e := range h.log {
		if i > 0 && e.revision < h.log[i-1].revision {
			return nil, fmt.Errorf("log: revision %d after %d", e.revision, h.log[i-1].revision)
		}
		if is := l.of[e.key]; len(is) > 0 && h.log[is[len(is)-1]].revision == e.revision {
			return nil, fmt.Errorf("log: %q twice at %d", e.key, e.revision)
		}
		if was := l.at(e.key, e.revision); was != e.previous {
			return nil, fmt.Errorf("log: %q at %d was %v before, not %v", e.key, e.revision, was, e.previous)
		}
		l.of[e.key] = append(l.of[e.key], i)
	}
	return l, nil
}

func (c *call) wrote() bool {
	return c.kind == put || c.done && (c.kind == swap || c.kind == remove)
}

// What was acknowledged is in the log, at the revision that was acknowledged, once; and nothing that nobody asked for.
func kept(h history, l *ledger) error {
	type change struct {
		key, value string
		deleted    bool
	}
	asked := map[change]bool{}
	acknowledged := map[int64]bool{}
	for i := range h.calls {
		c := &h.calls[i]
		if c.kind != get {
			asked[change{c.key, c.value, c.kind == remove}] = true
			asked[change{c.key + shadow, c.value, c.kind == remove}] = true
		}
		if c.unknown || !c.wrote() {
			continue
		}
		if acknowledged[c.revision] {
			return fmt.Errorf("two writes were acknowledged at %d", c.revision)
		}
		acknowledged[c.revision] = true
		found := l.at(c.key, c.revision)
		is := l.of[c.key]
		n := sort.Search(len(is), func(i int) bool { return l.log[is[i]].revision >= c.revision })
		switch {
		case n == len(is) || l.log[is[n]].revision != c.revision:
			return fmt.Errorf("a write of %q was acknowledged at %d, and is lost", c.key, c.revision)
		case c.kind == remove && found.modified != 0, c.kind != remove && found.value != c.value:
			return fmt.Errorf("at %d %q is %v, and not what was acknowledged", c.revision, c.key, found)
		}
	}
	for _, e := range h.log {
		if !asked[change{e.key, e.value, e.deleted}] {
			return fmt.Errorf("log: nobody asked for %v", e)
		}
	}
	return nil
}

// Every answer is what the log says at its revision, and revisions follow the order in which calls came after each other.
func serial(h history, l *ledger) error {
	type edge struct {
		at    int64
		begin bool
		call  *call
	}
	var edges []edge
	for i := range h.calls {
		c := &h.calls[i]
		if c.unknown {
			continue
		}
		edges = append(edges, edge{c.start, true, c}, edge{c.end, false, c})
		switch before := l.at(c.key, c.revision-1); {
		case (c.kind == get || c.kind == swap && !c.done) && l.at(c.key, c.revision) != c.found:
			return fmt.Errorf("%q was read as %v at %d, and is %v", c.key, c.found, c.revision, l.at(c.key, c.revision))
		case c.kind == swap && c.done && before.modified != c.compare:
			return fmt.Errorf("%q was swapped at %d though it was changed at %d", c.key, c.revision, before.modified)
		case c.kind == swap && !c.done && c.found.modified == c.compare:
			return fmt.Errorf("%q was not swapped at %d though nothing had changed it", c.key, c.revision)
		case c.kind == remove && !c.done && l.at(c.key, c.revision).modified != 0:
			return fmt.Errorf("%q was not found at %d, and is there", c.key, c.revision)
		}
	}
	// At the same moment neither came before the other.
	sort.SliceStable(edges, func(a, b int) bool {
		return edges[a].at < edges[b].at || edges[a].at == edges[b].at && edges[a].begin && !edges[b].begin
	})
	// Whatever begins now comes after everything that has ended.
	ended := int64(0)
	least := map[*call]int64{}
	for _, e := range edges {
		if e.begin {
			least[e.call] = ended
			continue
		}
		c := e.call
		if c.revision < least[c] || c.wrote() && c.revision == least[c] {
			return fmt.Errorf("a call on %q was answered at %d after another had ended at %d", c.key, c.revision, least[c])
		}
		ended = max(ended, c.revision)
	}
	return nil
}

// A watcher is told a piece of the log: all of it, in order, once, a revision never in two pieces, and when it is told how
// far it is, then it is.
func sliced(w watcher, l *ledger) error {
	var wanted []event
	for _, e := range l.log {
		if e.revision >= w.start && (e.key == w.key || w.prefix && strings.HasPrefix(e.key, w.key)) {
			if w.bare {
				e.previous = state{}
			}
			wanted = append(wanted, e)
		}
	}
	n, through := 0, w.start-1
	for _, t := range w.told {
		if len(t.events) == 0 {
			if t.revision < w.start-1 {
				return fmt.Errorf("it is told that it is at %d before it has begun", t.revision)
			}
			if n < len(wanted) && wanted[n].revision <= t.revision {
				return fmt.Errorf("it is told that it is at %d before it was told of %v", t.revision, wanted[n])
			}
			through = max(through, t.revision)
		}
		for _, e := range t.events {
			switch {
			case e.revision < w.start:
				return fmt.Errorf("it is told of %v", e)
			case e.revision <= through:
				return fmt.Errorf("it is told of %v after it was at %d", e, through)
			case n == len(wanted):
				return fmt.Errorf("it is told of %v, which is not in the log", e)
			case e != wanted[n]:
				return fmt.Errorf("it is told of %v where the log has %v", e, wanted[n])
			}
			n++
		}
		if len(t.events) > 0 {
			last := t.events[len(t.events)-1].revision
			if n < len(wanted) && wanted[n].revision == last {
				return fmt.Errorf("revision %d is told in two pieces", last)
			}
			if t.revision < last {
				return fmt.Errorf("an answer of revision %d tells of %d", t.revision, last)
			}
			through = last
		}
	}
	return nil
}
