// Leases on bad days, with etcd's own client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"switchboard/conformance/etcd/own"
)

func connect(s *own.Server) *clientv3.Client {
	c, err := own.Dial(s.Place, "", "", nil)
	own.Must(err)
	return c
}

func held(ctx context.Context, c *clientv3.Client, key string, ttl int64) (clientv3.LeaseID, error) {
	l, err := c.Grant(ctx, ttl)
	if err != nil {
		return 0, err
	}
	_, err = c.Put(ctx, key, "10.0.0.1:80", clientv3.WithLease(l.ID))
	return l.ID, err
}

func there(ctx context.Context, c *clientv3.Client, key string) (bool, error) {
	a, err := c.Get(ctx, key)
	return err == nil && len(a.Kvs) == 1, err
}

// In seconds.
const ttl = 5

// It is stopped for twice the lease, in which nobody could renew anything.
func pause(ctx context.Context) error {
	s := own.Started()
	defer s.Remove()
	c := connect(s)
	defer c.Close()
	id, err := held(ctx, c, "paused", ttl)
	if err != nil {
		return err
	}
	own.Must(s.Run.Process.Signal(syscall.SIGSTOP))
	time.Sleep(2 * ttl * time.Second)
	own.Must(s.Run.Process.Signal(syscall.SIGCONT))
	a, err := c.KeepAliveOnce(ctx, id)
	if err != nil || a.TTL != ttl {
		return fmt.Errorf("renewed after the pause: %v %v", a, err)
	}
	return own.Want(there(ctx, c, "paused"))
}

// It is killed, and comes back after twice the lease.
func outage(ctx context.Context) error {
	s := own.Started()
	defer s.Remove()
	c := connect(s)
	defer c.Close()
	id, err := held(ctx, c, "killed", ttl)
	if err != nil {
		return err
	}
	s.Kill()
	time.Sleep(2 * ttl * time.Second)
	own.Must(s.Start())
	// The old client may take its time before it tries to connect again.
	c = connect(s)
	defer c.Close()
	a, err := c.KeepAliveOnce(ctx, id)
	if err != nil || a.TTL != ttl {
		return fmt.Errorf("renewed after the outage: %v %v", a, err)
	}
	return own.Want(there(ctx, c, "killed"))
}

const many = 5000

// Puts one after the other, and how long each took, until told to stop.
func putting(ctx context.Context, c *clientv3.Client, stop <-chan struct{}) []time.Duration {
	var took []time.Duration
	for {
		select {
		case <-stop:
			sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
			return took
		default:
		}
		began := time.Now()
		_, err := c.Put(ctx, "other", "x")
		own.Must(err)
		took = append(took, time.Since(began))
	}
}

func massExpiry(ctx context.Context) error {
	s := own.Started()
	defer s.Remove()
	c := connect(s)
	defer c.Close()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range many / 50 {
				// They end together, however long it takes to grant them.
				_, err := held(ctx, c, fmt.Sprintf("many/%d/%d", i, j), 20)
				own.Must(err)
			}
		})
	}
	all.Wait()
	measure := func(done func() bool) []time.Duration {
		stop, told := make(chan struct{}), make(chan []time.Duration)
		go func() { told <- putting(ctx, c, stop) }()
		for !done() {
			time.Sleep(100 * time.Millisecond)
		}
		close(stop)
		return <-told
	}
	left := func() int64 {
		a, err := c.Get(ctx, "many/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		own.Must(err)
		return a.Count
	}
	if n := left(); n != many {
		return fmt.Errorf("%d keys before the end", n)
	}
	before := measure(func() bool { return left() < many })
	during := measure(func() bool { return left() == 0 })
	if len(during) < 10 {
		return fmt.Errorf("%d puts while %d leases ended", len(during), many)
	}
	p := func(took []time.Duration, of float64) time.Duration {
		return took[int(float64(len(took)-1)*of)].Round(10 * time.Microsecond)
	}
	fmt.Printf("   %d leases ended while %d puts were made; p50 %v and p99 %v, before that %v and %v\n", many, len(during),
		p(during, 0.5), p(during, 0.99), p(before, 0.5), p(before, 0.99))
	return nil
}

func revival(ctx context.Context) error {
	s := own.Started("--set", "etcd.revive_within=1m")
	defer s.Remove()
	c := connect(s)
	defer c.Close()
	id, err := held(ctx, c, "/services/web/1", 2)
	if err != nil {
		return err
	}
	_, err = c.Put(ctx, "lock/1", "", clientv3.WithLease(id))
	if err != nil {
		return err
	}
	w := c.Watch(ctx, "/services/web/1")
	if e := (<-w).Events[0]; e.Type != clientv3.EventTypeDelete {
		return fmt.Errorf("it did not end: %v", e)
	}
	a, err := c.KeepAliveOnce(ctx, id)
	if err != nil || a.TTL != 2 {
		return fmt.Errorf("renewed after its end: %v %v", a, err)
	}
	if e := (<-w).Events[0]; e.Type != clientv3.EventTypePut || string(e.Kv.Value) != "10.0.0.1:80" {
		return fmt.Errorf("it did not come back: %v", e)
	}
	if lock, err := there(ctx, c, "lock/1"); err != nil || lock {
		return errors.New("a lock came back")
	}
	return nil
}

func main() {
	good := own.Check("a lease outlives a pause of the server", pause)
	good = own.Check("a lease outlives an outage of the server", outage) && good
	good = own.Check("thousands of leases that end at once", massExpiry) && good
	good = own.Check("a keepalive brings an ended lease back, with its instances alone", revival) && good
	if !good {
		os.Exit(1)
	}
}
