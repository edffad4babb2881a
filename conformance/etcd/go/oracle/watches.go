package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"switchboard/conformance/etcd/servers"
)

// Watchers of one side, all on one stream: what each was told, as lines.
type watches struct {
	stream pb.Watch_WatchClient
	lock   sync.Mutex
	told   map[int64][]string
	// Everything up to here has been told to everyone.
	through int64
	changed chan struct{}
}

func newWatches(client pb.WatchClient, told map[int64][]string) *watches {
	stream, err := client.Watch(context.Background())
	if err != nil {
		servers.Fatal(err)
	}
	w := &watches{stream: stream, told: told, changed: make(chan struct{}, 1)}
	go w.read()
	return w
}

func (w *watches) read() {
	for {
		a, err := w.stream.Recv()
		if err != nil {
			// Killed, or over.
			return
		}
		w.lock.Lock()
		if a.WatchId == -1 && !a.Canceled {
			w.through = max(w.through, a.Header.Revision)
		} else {
			w.told[a.WatchId] = append(w.told[a.WatchId], lines(a)...)
		}
		w.lock.Unlock()
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

func lines(a *pb.WatchResponse) (lines []string) {
	if a.Created {
		lines = append(lines, "created")
	}
	for i, e := range a.Events {
		// Ours needs no padding.
		if string(e.Kv.Key) == pad || passing(a.Events, i) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%v %v prev %v", e.Type, e.Kv, e.PrevKv))
	}
	if a.Canceled {
		lines = append(lines, fmt.Sprintf("canceled %d %q", a.CompactRevision, a.CancelReason))
	}
	return lines
}

// What a transaction puts and deletes again, which etcd overlooks within nested ones, is told by etcd step by step, and by
// us as what came of it: nothing, if the key was not there before.
func passing(events []*mvccpb.Event, i int) bool {
	same := func(e *mvccpb.Event) bool {
		return string(e.Kv.Key) == string(events[i].Kv.Key) && e.Kv.ModRevision == events[i].Kv.ModRevision
	}
	first := events[slices.IndexFunc(events, same)]
	if slices.ContainsFunc(events[i+1:], same) {
		return true
	}
	return events[i].Type == mvccpb.DELETE && first.Type == mvccpb.PUT && first.Kv.Version == 1
}

func (w *watches) ask(q *pb.WatchRequest) {
	if err := w.stream.Send(q); err != nil {
		servers.Fatal(err)
	}
}

func (w *watches) wait(what string, done func() bool, meanwhile func()) {
	until := time.Now().Add(60 * time.Second)
	for {
		w.lock.Lock()
		ok := done()
		w.lock.Unlock()
		if ok {
			return
		}
		if time.Now().After(until) {
			servers.Fatal(fmt.Errorf("waited in vain for %s, and is at %d", what, w.through))
		}
		meanwhile()
		select {
		case <-w.changed:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Waits until everyone was told everything up to a revision. etcd drops the request while one of them is behind.
func (w *watches) settle(whose string, revision int64) {
	ask := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
	w.wait(fmt.Sprintf("%s progress to %d", whose, revision), func() bool { return w.through >= revision }, func() { w.ask(ask) })
}

// Each by its id, with how many lines it has before: one that is started again is created again.
func (w *watches) create(q *pb.WatchCreateRequest) {
	w.lock.Lock()
	before := len(w.told[q.WatchId])
	w.lock.Unlock()
	w.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: q}})
	w.wait("created", func() bool { return len(w.told[q.WatchId]) > before }, func() {})
}

func (w *watches) cancel(id int64) {
	w.lock.Lock()
	before := len(w.told[id])
	w.lock.Unlock()
	w.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
	w.wait("canceled", func() bool { return len(w.told[id]) > before }, func() {})
}

// One of the watchers that are kept, by chance: made if there are few, ended if there are many.
func (w *world) changeWatchers() string {
	if len(w.watching) > 7 {
		ids := make([]int64, 0, len(w.watching))
		for id := range w.watching {
			ids = append(ids, id)
		}
		sort.Slice(ids, func(a, b int) bool { return ids[a] < ids[b] })
		id := ids[w.r.Intn(len(ids))]
		w.settle()
		delete(w.watching, id)
		w.real.watches.cancel(id)
		w.ours.watches.cancel(id)
		return fmt.Sprintf("cancel watch %d", id)
	}
	w.lastWatch++
	key := w.key()
	q := &pb.WatchCreateRequest{WatchId: w.lastWatch, Key: key, RangeEnd: w.end(key), PrevKv: w.r.Intn(2) == 0}
	if w.r.Intn(3) == 0 {
		q.StartRevision = w.someRevision()
	}
	if w.r.Intn(3) == 0 {
		q.Filters = append(q.Filters, pb.WatchCreateRequest_FilterType(w.r.Intn(2)))
	}
	q.Fragment = w.r.Intn(3) == 0
	if len(q.RangeEnd) > 0 && string(q.RangeEnd) != "\x00" && string(q.RangeEnd) <= string(q.Key) {
		// Refused without an id: nobody could tell whose answer it is.
		q.RangeEnd = nil
	}
	if q.StartRevision > 0 && q.StartRevision < w.compacted {
		q.StartRevision = w.compacted
	}
	w.real.watches.create(q)
	w.ours.watches.create(q)
	w.watching[q.WatchId] = q
	w.asked[q.WatchId] = fmt.Sprintf("%v, at revision %d, compacted at %d", q, w.revision, w.compacted)
	return fmt.Sprintf("watch %v", q)
}

// While a watcher waits for a revision that has not happened, nobody is told how far all are.
func (w *world) settle() {
	for w.waits() {
		for _, s := range []*side{w.real, w.ours} {
			a, err := s.kv.Put(context.Background(), &pb.PutRequest{Key: []byte(pad)})
			if err != nil {
				servers.Fatal(err)
			}
			w.revision = a.Header.Revision
		}
	}
	w.real.watches.settle("etcd's", w.revision)
	w.ours.watches.settle("our", w.revision)
}

func (w *world) waits() bool {
	for _, q := range w.watching {
		if q.StartRevision > w.revision {
			return true
		}
	}
	return false
}

// The first difference in what watchers were told, up to now.
func (w *world) told() (count int, difference string) {
	w.settle()
	w.real.watches.lock.Lock()
	defer w.real.watches.lock.Unlock()
	w.ours.watches.lock.Lock()
	defer w.ours.watches.lock.Unlock()
	for id := int64(1); id <= w.lastWatch; id++ {
		theirs, ours := w.real.told[id], w.ours.told[id]
		for i := 0; i < len(theirs) || i < len(ours); i++ {
			at := func(l []string) string {
				if i < len(l) {
					return l[i]
				}
				return "nothing"
			}
			if at(theirs) != at(ours) {
				return count, fmt.Sprintf("line %d of watch %s\n   etcd %s\n   ours %s", i, w.asked[id], at(theirs), at(ours))
			}
			count++
		}
	}
	return count, ""
}
