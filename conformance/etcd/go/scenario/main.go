// etcd's own Go client and what is built on it, unmodified.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"go.etcd.io/etcd/client/v3/ordering"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

var client *clientv3.Client

func check(name string, run func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Printf("not ok - %s: %v\n", name, err)
		return false
	}
	fmt.Println("ok -", name)
	return true
}

func want(what string, have, wanted any) error {
	if fmt.Sprint(have) != fmt.Sprint(wanted) {
		return fmt.Errorf("%s: %v, not %v", what, have, wanted)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func keys(ctx context.Context, prefix string) (string, error) {
	a, err := client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return "", err
	}
	var all []string
	for _, kv := range a.Kvs {
		all = append(all, strings.TrimPrefix(string(kv.Key), prefix)+"="+string(kv.Value))
	}
	return strings.Join(all, " "), nil
}

func kv(ctx context.Context) error {
	p, err := client.Put(ctx, "kv/a", "1")
	if err != nil {
		return err
	}
	_, e1 := client.Put(ctx, "kv/b", "2")
	q, e2 := client.Put(ctx, "kv/a", "3", clientv3.WithPrevKV())
	if err := first(e1, e2); err != nil {
		return err
	}
	all, e1 := keys(ctx, "kv/")
	old, e2 := client.Get(ctx, "kv/a", clientv3.WithRev(p.Header.Revision))
	n, e3 := client.Get(ctx, "kv/", clientv3.WithPrefix(), clientv3.WithLimit(1))
	d, e4 := client.Delete(ctx, "kv/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	if err := first(e1, e2, e3, e4); err != nil {
		return err
	}
	return first(want("all", all, "a=3 b=2"), want("prev", string(q.PrevKv.Value), "1"),
		want("old", string(old.Kvs[0].Value), "1"), want("more", n.More, true), want("count", n.Count, 2),
		want("deleted", d.Deleted, 2), want("revision", d.Header.Revision, q.Header.Revision+1))
}

func txn(ctx context.Context) error {
	_, err := client.Put(ctx, "txn/a", "1")
	if err != nil {
		return err
	}
	a, err := client.Txn(ctx).If(clientv3.Compare(clientv3.Value("txn/a"), "=", "1"), clientv3.Compare(clientv3.CreateRevision("txn/b"), "=", 0)).
		Then(clientv3.OpPut("txn/b", "2"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("txn/c", "3")}, nil), clientv3.OpGet("txn/", clientv3.WithPrefix())).
		Else(clientv3.OpGet("txn/a")).Commit()
	if err != nil {
		return err
	}
	_, err = client.Txn(ctx).Then(clientv3.OpPut("txn/x", ""), clientv3.OpPut("txn/x", "")).Commit()
	_, future := client.Get(ctx, "txn/a", clientv3.WithRev(a.Header.Revision+100))
	return first(want("succeeded", a.Succeeded, true), want("seen", len(a.Responses[2].GetResponseRange().Kvs), 3),
		want("duplicate", err, rpctypes.ErrDuplicateKey), want("future", future, rpctypes.ErrFutureRev))
}

func watch(ctx context.Context) error {
	start, err := client.Put(ctx, "watch/a", "0")
	if err != nil {
		return err
	}
	live := client.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	if w := <-live; !w.Created {
		return fmt.Errorf("not created: %v", w)
	}
	if _, err := client.Put(ctx, "watch/a", "1"); err != nil {
		return err
	}
	if _, err := client.Delete(ctx, "watch/a"); err != nil {
		return err
	}
	read := func(c clientv3.WatchChan, n int) (string, error) {
		var told []string
		for len(told) < n {
			w, ok := <-c
			if !ok || w.Err() != nil {
				return "", fmt.Errorf("ended: %v", w.Err())
			}
			for _, e := range w.Events {
				prev := ""
				if e.PrevKv != nil {
					prev = string(e.PrevKv.Value)
				}
				told = append(told, fmt.Sprintf("%v %s %s<%s", e.Type, e.Kv.Key, e.Kv.Value, prev))
			}
		}
		return strings.Join(told, ", "), nil
	}
	now, e1 := read(live, 2)
	past, e2 := read(client.Watch(ctx, "watch/a", clientv3.WithRev(start.Header.Revision), clientv3.WithPrevKV()), 3)
	puts, e3 := read(client.Watch(ctx, "watch/a", clientv3.WithRev(start.Header.Revision), clientv3.WithFilterDelete()), 2)
	if err := first(e1, e2, e3); err != nil {
		return err
	}
	return first(want("live", now, "PUT watch/a 1<0, DELETE watch/a <1"),
		want("past", past, "PUT watch/a 0<, PUT watch/a 1<0, DELETE watch/a <1"),
		want("puts", puts, "PUT watch/a 0<, PUT watch/a 1<"))
}

func progress(ctx context.Context) error {
	c := client.Watch(ctx, "progress/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-c
	p, err := client.Put(ctx, "elsewhere", "1")
	if err != nil {
		return err
	}
	for {
		if err := client.RequestProgress(ctx); err != nil {
			return err
		}
		select {
		case w := <-c:
			if w.IsProgressNotify() && w.Header.Revision >= p.Header.Revision {
				return nil
			}
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func compacted(ctx context.Context) error {
	a, err := client.Put(ctx, "compacted/a", "1")
	if err != nil {
		return err
	}
	b, e1 := client.Put(ctx, "compacted/a", "2")
	_, e2 := client.Compact(ctx, b.Header.Revision)
	if err := first(e1, e2); err != nil {
		return err
	}
	_, gone := client.Get(ctx, "compacted/a", clientv3.WithRev(a.Header.Revision))
	_, there := client.Get(ctx, "compacted/a", clientv3.WithRev(b.Header.Revision))
	_, again := client.Compact(ctx, b.Header.Revision)
	w := <-client.Watch(ctx, "compacted/a", clientv3.WithRev(a.Header.Revision))
	at := <-client.Watch(ctx, "compacted/a", clientv3.WithRev(b.Header.Revision))
	return first(there, want("gone", gone, rpctypes.ErrCompacted), want("again", again, rpctypes.ErrCompacted),
		want("watch", w.CompactRevision, b.Header.Revision), want("at", len(at.Events), 1))
}

func lease(ctx context.Context) error {
	l, err := client.Grant(ctx, 2)
	if err != nil {
		return err
	}
	_, e1 := client.Put(ctx, "lease/a", "1", clientv3.WithLease(l.ID))
	_, e2 := client.Put(ctx, "lease/b", "1", clientv3.WithLease(l.ID))
	t, e3 := client.TimeToLive(ctx, l.ID, clientv3.WithAttachedKeys())
	k, e4 := client.KeepAliveOnce(ctx, l.ID)
	if err := first(e1, e2, e3, e4); err != nil {
		return err
	}
	c := client.Watch(ctx, "lease/", clientv3.WithPrefix())
	w := <-c
	if len(w.Events) != 2 || w.Events[0].Kv.ModRevision != w.Events[1].Kv.ModRevision {
		return fmt.Errorf("not both in one revision: %v", w.Events)
	}
	u, e1 := client.TimeToLive(ctx, l.ID)
	_, e2 = client.Revoke(ctx, l.ID)
	_, e3 = client.KeepAliveOnce(ctx, l.ID)
	r, e4 := client.Grant(ctx, 100)
	if err := first(e1, e4); err != nil {
		return err
	}
	_, e5 := client.Put(ctx, "lease/c", "1", clientv3.WithLease(r.ID))
	_, e6 := client.Revoke(ctx, r.ID)
	left, e7 := keys(ctx, "lease/")
	return first(e5, e6, e7, want("keys", len(t.Keys), 2), want("ttl", k.TTL, 2), want("gone", u.TTL, -1),
		want("revoke", e2, rpctypes.ErrLeaseNotFound), want("keep alive", e3, rpctypes.ErrLeaseNotFound), want("left", left, ""))
}

func keepAlive(ctx context.Context) error {
	l, err := client.Grant(ctx, 2)
	if err != nil {
		return err
	}
	beats, err := client.KeepAlive(ctx, l.ID)
	if err != nil {
		return err
	}
	for i := 0; i < 5; i++ {
		if b, ok := <-beats; !ok || b.TTL != 2 {
			return fmt.Errorf("beat %d: %v", i, b)
		}
	}
	_, err = client.Revoke(ctx, l.ID)
	return err
}

func mutex(ctx context.Context) error {
	one, e1 := concurrency.NewSession(client)
	two, e2 := concurrency.NewSession(client)
	if err := first(e1, e2); err != nil {
		return err
	}
	defer one.Close()
	defer two.Close()
	a, b := concurrency.NewMutex(one, "mutex"), concurrency.NewMutex(two, "mutex")
	if err := a.Lock(ctx); err != nil {
		return err
	}
	if err := b.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		return fmt.Errorf("locked twice: %v", err)
	}
	locked := make(chan error, 1)
	go func() { locked <- b.Lock(ctx) }()
	select {
	case <-locked:
		return errors.New("locked twice")
	case <-time.After(200 * time.Millisecond):
	}
	return first(a.Unlock(ctx), <-locked, b.Unlock(ctx))
}

func election(ctx context.Context) error {
	one, e1 := concurrency.NewSession(client)
	two, e2 := concurrency.NewSession(client)
	if err := first(e1, e2); err != nil {
		return err
	}
	defer one.Close()
	defer two.Close()
	a, b := concurrency.NewElection(one, "election"), concurrency.NewElection(two, "election")
	observed := a.Observe(ctx)
	if err := a.Campaign(ctx, "a"); err != nil {
		return err
	}
	elected := make(chan error, 1)
	go func() { elected <- b.Campaign(ctx, "b") }()
	if err := first(a.Proclaim(ctx, "a2"), a.Resign(ctx), <-elected); err != nil {
		return err
	}
	leader, err := b.Leader(ctx)
	if err != nil {
		return err
	}
	for o := range observed {
		if string(o.Kvs[0].Value) == "b" {
			break
		}
	}
	return first(want("leader", string(leader.Kvs[0].Value), "b"), b.Resign(ctx))
}

func stm(ctx context.Context) error {
	done := make(chan error, 8)
	for i := 0; i < 8; i++ {
		go func() {
			_, err := concurrency.NewSTM(client, func(s concurrency.STM) error {
				s.Put("stm/n", s.Get("stm/n")+"x")
				return nil
			}, concurrency.WithAbortContext(ctx))
			done <- err
		}()
	}
	for i := 0; i < 8; i++ {
		if err := <-done; err != nil {
			return err
		}
	}
	a, err := client.Get(ctx, "stm/n")
	if err != nil {
		return err
	}
	return want("sum", string(a.Kvs[0].Value), "xxxxxxxx")
}

func naming(ctx context.Context) error {
	m, err := endpoints.NewManager(client, "naming/web")
	if err != nil {
		return err
	}
	c, err := m.NewWatchChannel(ctx)
	if err != nil {
		return err
	}
	if err := m.AddEndpoint(ctx, "naming/web/a", endpoints.Endpoint{Addr: "10.0.0.1:80"}); err != nil {
		return err
	}
	u := <-c
	all, err := m.List(ctx)
	if err != nil {
		return err
	}
	return first(want("update", u[0].Endpoint.Addr, "10.0.0.1:80"), want("list", len(all), 1), m.DeleteEndpoint(ctx, "naming/web/a"))
}

// A gRPC server that says it is healthy, counted by how often it was asked.
func backend(asked *atomic.Int64) (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	count := func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		asked.Add(1)
		return next(ctx, q)
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(count))
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	return l.Addr().String(), s.Stop, nil
}

// A channel of gRPC's follows what is registered, here under the prefix of instances.
func resolved(ctx context.Context) error {
	var one, two atomic.Int64
	a, stopA, e1 := backend(&one)
	b, stopB, e2 := backend(&two)
	by, e3 := resolver.NewBuilder(client)
	m, e4 := endpoints.NewManager(client, "/services/resolved")
	if err := first(e1, e2, e3, e4); err != nil {
		return err
	}
	defer stopA()
	defer stopB()
	if err := m.AddEndpoint(ctx, "/services/resolved/a", endpoints.Endpoint{Addr: a}); err != nil {
		return err
	}
	conn, err := grpc.NewClient("etcd:////services/resolved", grpc.WithResolvers(by), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		return err
	}
	defer conn.Close()
	until := func(enough func() bool) error {
		for !enough() {
			if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := until(func() bool { return one.Load() > 2 }); err != nil {
		return err
	}
	if err := m.AddEndpoint(ctx, "/services/resolved/b", endpoints.Endpoint{Addr: b}); err != nil {
		return err
	}
	if err := until(func() bool { return two.Load() > 2 }); err != nil {
		return err
	}
	page, err := native("/v1/services/resolved")
	if err != nil || !strings.Contains(page, b[strings.LastIndex(b, ":")+1:]) {
		return fmt.Errorf("not an instance: %v %s", err, page)
	}
	if err := m.DeleteEndpoint(ctx, "/services/resolved/a"); err != nil {
		return err
	}
	return until(func() bool {
		before, asked := one.Load(), two.Load()
		return until(func() bool { return two.Load() > asked+4 }) != nil || one.Load() == before
	})
}

func wrappers(ctx context.Context) error {
	in := namespace.NewKV(client.KV, "ns/")
	if _, err := in.Put(ctx, "a", "1"); err != nil {
		return err
	}
	ordered := ordering.NewKV(client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error { return errors.New("it went back") })
	o, e1 := ordered.Get(ctx, "ns/a")
	leased, closeLeased, e2 := leasing.NewKV(client, "leasing/")
	if err := first(e1, e2); err != nil {
		return err
	}
	defer closeLeased()
	l, e1 := leased.Get(ctx, "ns/a")
	_, e2 = leased.Put(ctx, "ns/a", "2")
	syncer := mirror.NewSyncer(client, "ns/", 0)
	base, errs := syncer.SyncBase(ctx)
	n := 0
	for b := range base {
		n += len(b.Kvs)
	}
	return first(e1, e2, <-errs, want("ordered", o.Count, 1), want("leased", l.Count, 1), want("mirrored", n, 1))
}

func native(path string) (string, error) {
	a, err := http.Get(os.Getenv("SWITCHBOARD_URL") + path)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return string(b), err
}

func instances(ctx context.Context) error {
	l, err := client.Grant(ctx, 60)
	if err != nil {
		return err
	}
	key := "/services/go-service/1"
	w := client.Watch(ctx, "/services/go-service/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-w
	p, err := client.Put(ctx, key, "10.9.8.7:1234", clientv3.WithLease(l.ID))
	if err != nil {
		return err
	}
	page, err := native("/v1/services/go-service")
	if err != nil || !strings.Contains(page, `"host":"10.9.8.7"`) || !strings.Contains(page, `"port":1234`) {
		return fmt.Errorf("not there: %v %s", err, page)
	}
	again, e1 := client.Put(ctx, key, "10.9.8.7:1234", clientv3.WithLease(l.ID))
	if err := first(e1, want("no commit", again.Header.Revision, p.Header.Revision)); err != nil {
		return err
	}
	body := strings.NewReader(`{"service":"go-service","host":"10.9.8.8","port":1,"id":"2"}`)
	a, err := http.Post(os.Getenv("SWITCHBOARD_URL")+"/v1/register", "application/json", body)
	if err != nil {
		return err
	}
	a.Body.Close()
	all, e1 := keys(ctx, "/services/go-service/")
	if err := first(e1, want("keys", all, "1=10.9.8.7:1234 2=10.9.8.8:1")); err != nil {
		return err
	}
	if _, err := client.Revoke(ctx, l.ID); err != nil {
		return err
	}
	page, err = native("/v1/services/go-service")
	if err != nil || strings.Contains(page, "10.9.8.7") {
		return fmt.Errorf("still there: %v %s", err, page)
	}
	told := []string{}
	for len(told) < 3 {
		for _, e := range (<-w).Events {
			told = append(told, fmt.Sprintf("%v %s", e.Type, e.Kv.Key))
		}
	}
	return want("told", strings.Join(told, ", "), "PUT /services/go-service/1, PUT /services/go-service/2, DELETE /services/go-service/1")
}

func members(ctx context.Context) error {
	m, e1 := client.MemberList(ctx)
	s, e2 := client.Status(ctx, client.Endpoints()[0])
	a, e3 := client.AlarmList(ctx)
	_, e4 := client.Defragment(ctx, client.Endpoints()[0])
	h, e5 := client.HashKV(ctx, client.Endpoints()[0], 0)
	if err := first(e1, e2, e3, e4, e5, client.Sync(ctx)); err != nil {
		return err
	}
	return first(want("members", len(m.Members), 1), want("leader", s.Leader, m.Members[0].ID), want("alarms", len(a.Alarms), 0), want("hash", h.Hash != 0, true))
}

func main() {
	var err error
	client, err = clientv3.New(clientv3.Config{Endpoints: []string{os.Getenv("SWITCHBOARD_ETCD")}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		fmt.Println("not ok - connect:", err)
		os.Exit(1)
	}
	good := true
	for _, it := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"put, get, old revisions, delete", kv}, {"transactions", txn}, {"watch", watch}, {"watch progress", progress},
		{"compaction", compacted}, {"leases", lease}, {"keep alive", keepAlive}, {"mutex", mutex}, {"election", election}, {"stm", stm},
		{"naming endpoints", naming}, {"a gRPC channel follows", resolved}, {"namespace, ordering, leasing, mirror", wrappers}, {"keys are instances", instances}, {"members and maintenance", members},
	} {
		good = check(it.name, it.run) && good
	}
	if !good {
		os.Exit(1)
	}
}
