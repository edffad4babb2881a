package main

import "fmt"

// Bugs as etcd has had them, by what a client sees of each: put into a good history, they must be found.
var bugs = []struct {
	name  string
	plant func(*history) bool
}{
	{"#13766, revisions differ after a crash: two writes at one", func(h *history) bool {
		return h.two(func(c *call) bool { return c.wrote() }, func(a, b *call) { b.revision = a.revision })
	}},
	{"#14370, a write is lost in a crash", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == put })
		return c != nil && h.drop(func(e event) bool { return e.revision == c.revision })
	}},
	{"#14685, a revision differs after a crash during defragmentation", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == put })
		c.revision += 1000
		return true
	}},
	{"#14571, another value than was acknowledged", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == put })
		c.value += "?"
		return true
	}},
	{"#15220, progress is told before what it is about", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			if i > 0 && len(w.told[i].events) == 0 && len(w.told[i-1].events) > 0 {
				w.told[i-1], w.told[i] = w.told[i], w.told[i-1]
				return true
			}
			return false
		})
	}},
	{"#15271, a watch goes back in time", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			if i > 4 && len(w.told[i].events) > 0 && len(w.told[i-3].events) > 0 {
				w.told = append(w.told, w.told[i-3:i]...)
				return true
			}
			return false
		})
	}},
	{"#17247, an event is told twice", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			t := &w.told[i]
			if len(t.events) > 0 {
				t.events = append(t.events, t.events[len(t.events)-1])
			}
			return len(t.events) > 0
		})
	}},
	{"#17529, events are lost while a stream starves", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			if i > 2 && i+1 < len(w.told) && len(w.told[i].events) > 0 && len(w.told[i+1].events) > 0 {
				w.told = append(w.told[:i], w.told[i+1:]...)
				return true
			}
			return false
		})
	}},
	{"#17780, the revision goes down in a crash during compaction", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == remove && !c.done })
		if c != nil {
			c.revision -= 50
		}
		return c != nil
	}},
	{"#18089, the delete at which the log is compacted is not told", func(h *history) bool { return h.dropAtCompaction(false) }},
	{"#19179, a watch that begins at the compaction misses a delete", func(h *history) bool { return h.dropAtCompaction(true) }},
	{"#18667, a transaction reads what was compacted", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == swap && !c.done && c.found.modified > 0 })
		if c != nil {
			c.found = state{}
		}
		return c != nil
	}},
	{"#20221, a watch of the future is told how far it is", func(h *history) bool {
		return h.future(func(w *watcher) { w.told = append([]told{{revision: w.start - 5}}, w.told...) })
	}},
	{"#20221, a watch of the future is told of the past", func(h *history) bool {
		return h.future(func(w *watcher) {
			for _, e := range h.log {
				if e.revision < w.start && e.key == w.key {
					w.told = append([]told{{e.revision, []event{e}}}, w.told...)
					return
				}
			}
		})
	}},
	{"#20418, a paused server answers from the past", func(h *history) bool {
		return h.two(func(c *call) bool { return c.kind == get && c.found.modified > 0 }, func(a, b *call) {
			b.key, b.found, b.revision = a.key, a.found, a.revision
		})
	}},
	{"a revision is told in two pieces", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			for n, e := range w.told[i].events {
				if n > 0 && e.revision == w.told[i].events[n-1].revision {
					first, second := w.told[i].events[:n], w.told[i].events[n:]
					rest := append([]told{{e.revision, first}, {w.told[i].revision, second}}, w.told[i+1:]...)
					w.told = append(w.told[:i:i], rest...)
					return true
				}
			}
			return false
		})
	}},
	{"what a key was before is wrong", func(h *history) bool {
		return h.answers(func(w *watcher, i int) bool {
			t := &w.told[i]
			if len(t.events) > 0 {
				t.events[0].previous.value += "?"
			}
			return len(t.events) > 0
		})
	}},
	{"a swap comes true though the key was changed", func(h *history) bool {
		c := h.last(func(c *call) bool { return c.kind == swap && c.done })
		if c != nil {
			c.compare--
		}
		return c != nil
	}},
}

func (h *history) last(is func(*call) bool) *call {
	for i := len(h.calls) - 1; i >= 0; i-- {
		if c := &h.calls[i]; !c.unknown && is(c) {
			return c
		}
	}
	return nil
}

// The first of a kind, and one that began long after it had ended.
func (h *history) two(is func(*call) bool, plant func(early, late *call)) bool {
	for i := range h.calls {
		early := &h.calls[i]
		if early.unknown || !is(early) {
			continue
		}
		late := h.last(is)
		if late == nil || late.start < early.end || late.revision < early.revision+20 {
			return false
		}
		plant(early, late)
		return true
	}
	return false
}

func (h *history) drop(is func(event) bool) bool {
	for i, e := range h.log {
		if is(e) {
			h.log = append(h.log[:i], h.log[i+1:]...)
			return true
		}
	}
	return false
}

func (h *history) answers(plant func(*watcher, int) bool) bool {
	for i := range h.watchers {
		for n := range h.watchers[i].told {
			if plant(&h.watchers[i], n) {
				return true
			}
		}
	}
	return false
}

func (h *history) future(plant func(*watcher)) bool {
	for i := range h.watchers {
		if w := &h.watchers[i]; !w.prefix && w.start > 10 {
			plant(w)
			return true
		}
	}
	return false
}

// Those that began at the revision that was compacted are the last ones: the prefix first, then the key.
func (h *history) dropAtCompaction(key bool) bool {
	for i := len(h.watchers) - 1; i >= 0; i-- {
		w := &h.watchers[i]
		if w.prefix != key && w.start == h.from && len(w.told) > 0 && len(w.told[0].events) > 0 && w.told[0].events[0].deleted {
			w.told[0].events = w.told[0].events[1:]
			w.told = append(w.told, told{revision: h.log[len(h.log)-1].revision})
			return true
		}
	}
	return false
}

// Those that the checker does not find.
func missed(good history) (missed []string) {
	for _, bug := range bugs {
		bad := good.copied()
		if !bug.plant(&bad) {
			missed = append(missed, fmt.Sprintf("%s: there was nowhere to plant it", bug.name))
		} else if check(bad) == nil {
			missed = append(missed, bug.name)
		}
	}
	return missed
}
