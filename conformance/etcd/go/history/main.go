// Many clients at once on a server of ours that is killed and started again, everything they were told written down, and
// then checked: revisions, what was acknowledged, the order of calls, and what watchers were told. Then bugs are put into
// the same history, and the checker must find each. SWITCHBOARD_HISTORY_SEED repeats what is asked, not what comes of it.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"switchboard/conformance/etcd/servers"
)

const (
	workers = 6
	keys    = 8
	kills   = 3
	prefix  = "h/"
)

type run struct {
	server *servers.Process
	begun  time.Time
	lock   sync.Mutex
	h      history
	// What watchers have asked for progress with.
	clients []*clientv3.Client
	through []*atomic.Int64
	asked   atomic.Int64
}

func (r *run) client() *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{r.server.Endpoint}, DialTimeout: 30 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		servers.Fatal(err)
	}
	return c
}

func (r *run) now() int64 { return int64(time.Since(r.begun)) }

// Asks, and writes down what came of it.
func (r *run) call(c *clientv3.Client, it call) call {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	it.start = r.now()
	err := it.ask(ctx, c)
	it.end = r.now()
	it.unknown = err != nil
	r.lock.Lock()
	defer r.lock.Unlock()
	r.h.calls = append(r.h.calls, it)
	return it
}

func (it *call) ask(ctx context.Context, c *clientv3.Client) error {
	switch it.kind {
	case get:
		a, err := c.Get(ctx, it.key)
		if err == nil {
			it.revision, it.found = a.Header.Revision, first((*clientv3.GetResponse)(a))
		}
		return err
	case remove:
		a, err := c.Delete(ctx, it.key)
		if err == nil {
			it.revision, it.done = a.Header.Revision, a.Deleted > 0
		}
		return err
	case put:
		a, err := c.Txn(ctx).Then(clientv3.OpPut(it.key, it.value), clientv3.OpPut(it.key+shadow, it.value)).Commit()
		if err == nil {
			it.revision = a.Header.Revision
		}
		return err
	default:
		a, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(it.key), "=", it.compare)).
			Then(clientv3.OpPut(it.key, it.value)).Else(clientv3.OpGet(it.key)).Commit()
		if err == nil {
			it.revision, it.done = a.Header.Revision, a.Succeeded
			if !a.Succeeded {
				it.found = first((*clientv3.GetResponse)(a.Responses[0].GetResponseRange()))
			}
		}
		return err
	}
}

func first(a *clientv3.GetResponse) state {
	if len(a.Kvs) == 0 {
		return state{}
	}
	return state{string(a.Kvs[0].Value), a.Kvs[0].ModRevision}
}

func (r *run) work(id int, seed int64, count int) {
	random := rand.New(rand.NewSource(seed + int64(id)))
	c := r.client()
	defer c.Close()
	seen := map[string]state{}
	for i := 0; i < count; i++ {
		it := call{key: fmt.Sprintf("%s%d/", prefix, random.Intn(keys)), value: fmt.Sprintf("%d.%d", id, i)}
		switch n := random.Intn(10); {
		case n < 4:
			it.kind = put
		case n < 5:
			it.kind, it.value = remove, ""
		case n < 8:
			it.kind, it.value = get, ""
		default:
			it.kind, it.compare = swap, seen[it.key].modified
		}
		it = r.call(c, it)
		switch {
		case it.unknown:
			time.Sleep(20 * time.Millisecond)
		case it.kind == get || it.kind == swap && !it.done:
			seen[it.key] = it.found
		case it.wrote() && it.kind != remove:
			seen[it.key] = state{it.value, it.revision}
		default:
			delete(seen, it.key)
		}
		r.asked.Add(1)
	}
}

// Follows until it was told everything up to the last revision; reconnecting is the client's own affair.
func (r *run) watch(w watcher, last *atomic.Int64, over *sync.WaitGroup) {
	c := r.client()
	through := &atomic.Int64{}
	r.lock.Lock()
	r.clients, r.through = append(r.clients, c), append(r.through, through)
	r.lock.Unlock()
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	options := []clientv3.OpOption{clientv3.WithRev(w.start)}
	if !w.bare {
		options = append(options, clientv3.WithPrevKV())
	}
	if w.prefix {
		options = append(options, clientv3.WithPrefix())
	}
	answers := c.Watch(ctx, w.key, options...)
	over.Add(1)
	go func() {
		defer over.Done()
		defer c.Close()
		defer cancel()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		until := last.Load() == 0
		for until || through.Load() < last.Load() {
			select {
			case a, ok := <-answers:
				if !ok || a.Err() != nil {
					servers.Fatal(fmt.Errorf("a watch ended: %v", a.Err()))
				}
				w.told = append(w.told, answered(a))
				if len(a.Events) == 0 {
					through.Store(a.Header.Revision)
				}
			case <-tick.C:
				// Refused while the server is away.
				_ = c.RequestProgress(ctx)
			}
			until = last.Load() == 0
		}
		r.lock.Lock()
		r.h.watchers = append(r.h.watchers, w)
		r.lock.Unlock()
	}()
}

func answered(a clientv3.WatchResponse) told {
	t := told{revision: a.Header.Revision}
	for _, e := range a.Events {
		it := event{key: string(e.Kv.Key), value: string(e.Kv.Value), revision: e.Kv.ModRevision, deleted: e.Type == clientv3.EventTypeDelete}
		if e.PrevKv != nil {
			it.previous = state{string(e.PrevKv.Value), e.PrevKv.ModRevision}
		}
		t.events = append(t.events, it)
	}
	return t
}

// The server comes and goes while they work.
func (r *run) disturb(total int64, done <-chan struct{}) {
	for n := int64(1); n <= kills; n++ {
		for r.asked.Load() < total*n/(kills+1) {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		r.server.Kill()
		r.server.Start()
	}
}

// A delete, the whole log up to it, and then the log is compacted at it.
func (r *run) end() int64 {
	c := r.client()
	defer c.Close()
	key := prefix + "0/"
	if r.call(c, call{kind: put, key: key, value: "last"}).unknown {
		servers.Fatal(fmt.Errorf("the last put failed"))
	}
	deleted := r.call(c, call{kind: remove, key: key})
	if !deleted.done {
		servers.Fatal(fmt.Errorf("the last delete found nothing"))
	}
	r.h.from = deleted.revision
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for a := range c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(1)) {
		if a.Err() != nil {
			servers.Fatal(a.Err())
		}
		r.h.log = append(r.h.log, answered(a).events...)
		if n := len(r.h.log); n > 0 && r.h.log[n-1].revision == deleted.revision {
			break
		}
	}
	return deleted.revision
}

func main() {
	seed := time.Now().UnixNano()
	if given, err := strconv.ParseInt(os.Getenv("SWITCHBOARD_HISTORY_SEED"), 10, 64); err == nil {
		seed = given
	}
	each := 400
	if os.Getenv("SWITCHBOARD_CONFORMANCE_FULL") != "" {
		each = 10_000
	}
	fmt.Println("seed", seed)
	r := &run{server: servers.Ours(), begun: time.Now()}
	r.server.Start()
	var working, watching sync.WaitGroup
	last := &atomic.Int64{}
	r.watch(watcher{key: prefix, start: 1, prefix: true}, last, &watching)
	r.watch(watcher{key: prefix + "1/", start: 1}, last, &watching)
	r.watch(watcher{key: prefix, start: 200, prefix: true}, last, &watching)
	r.watch(watcher{key: prefix + "2/", start: int64(each)}, last, &watching)
	done := make(chan struct{})
	for id := 0; id < workers; id++ {
		working.Add(1)
		go func() {
			defer working.Done()
			r.work(id, seed, each)
		}()
	}
	disturbing := make(chan struct{})
	go func() {
		r.disturb(int64(workers*each), done)
		close(disturbing)
	}()
	working.Wait()
	close(done)
	<-disturbing
	revision := r.end()
	last.Store(revision)
	watching.Wait()
	c := r.client()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	if _, err := c.Compact(ctx, revision); err != nil {
		servers.Fatal(err)
	}
	cancel()
	r.watch(watcher{key: prefix, start: revision, prefix: true, bare: true}, last, &watching)
	r.watch(watcher{key: prefix + "0/", start: revision, bare: true}, last, &watching)
	watching.Wait()
	c.Close()
	r.server.End()
	if !report(r.h) {
		os.Exit(1)
	}
}

func report(h history) bool {
	unknown, lines := 0, 0
	for _, c := range h.calls {
		if c.unknown {
			unknown++
		}
	}
	for _, w := range h.watchers {
		lines += len(w.told)
	}
	if err := check(h); err != nil {
		fmt.Println("not ok - history:", err)
		return false
	}
	fmt.Printf("ok - history: %d calls, %d of them cut off, %d events, %d answers to %d watchers, %d kills\n",
		len(h.calls), unknown, len(h.log), lines, len(h.watchers), kills)
	missed := missed(h)
	for _, bug := range missed {
		fmt.Println("not ok - planted and not found:", bug)
	}
	if len(missed) == 0 {
		fmt.Printf("ok - history: %d planted bugs are found\n", len(bugs))
	}
	return len(missed) == 0
}
