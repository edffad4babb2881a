// A server that is killed in a storm of transactions, again and again: nothing acknowledged is lost, and none happened by half.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"switchboard/conformance/etcd/own"
)

const writers = 16

// One writer's keys hold the number of its last transaction, both of them.
type writer struct {
	name               string
	tried, kept, known int64
}

// Transactions one after the other until the server is gone.
func (w *writer) storm(ctx context.Context, c *clientv3.Client) {
	for ctx.Err() == nil {
		w.tried = w.kept + 1
		last, next := strconv.FormatInt(w.kept, 10), strconv.FormatInt(w.tried, 10)
		a, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value(w.name+"/a"), "=", last)).
			Then(clientv3.OpPut(w.name+"/a", next), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut(w.name+"/b", next)}, nil)).Commit()
		if err != nil {
			return
		}
		if !a.Succeeded {
			panic("somebody else wrote " + w.name)
		}
		w.kept, w.known = w.tried, a.Header.Revision
	}
}

// What is there now, which becomes where it goes on.
func (w *writer) look(ctx context.Context, c *clientv3.Client) error {
	all, err := c.Get(ctx, w.name+"/", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) != 2 {
		return fmt.Errorf("%s: %v %v", w.name, all, err)
	}
	a, b := all.Kvs[0], all.Kvs[1]
	if string(a.Value) != string(b.Value) || a.ModRevision != b.ModRevision {
		return fmt.Errorf("%s happened by half: %s at %d and %s at %d", w.name, a.Value, a.ModRevision, b.Value, b.ModRevision)
	}
	found, err := strconv.ParseInt(string(a.Value), 10, 64)
	if err != nil || found < w.kept || found > w.tried {
		return fmt.Errorf("%s is at %s; %d was acknowledged and %d tried", w.name, a.Value, w.kept, w.tried)
	}
	if all.Header.Revision < w.known {
		return fmt.Errorf("revision %d came after %d", all.Header.Revision, w.known)
	}
	w.kept = found
	return nil
}

func storm(ctx context.Context) error {
	rounds := 6
	if os.Getenv("SWITCHBOARD_CONFORMANCE_FULL") != "" {
		rounds = 60
	}
	s := own.Started()
	defer s.Remove()
	all := make([]*writer, writers)
	for i := range all {
		all[i] = &writer{name: fmt.Sprint("w", i)}
	}
	kept := int64(0)
	for round := range rounds {
		c, err := own.Dial(s.Place, "", "", nil)
		if err != nil {
			return err
		}
		for _, w := range all {
			if round > 0 {
				err = w.look(ctx, c)
			} else {
				_, err = c.Txn(ctx).Then(clientv3.OpPut(w.name+"/a", "0"), clientv3.OpPut(w.name+"/b", "0")).Commit()
			}
			if err != nil {
				return err
			}
		}
		var storming sync.WaitGroup
		until, stop := context.WithCancel(ctx)
		for _, w := range all {
			storming.Go(func() { w.storm(until, c) })
		}
		time.Sleep(time.Duration(200+rand.IntN(600)) * time.Millisecond)
		s.Kill()
		stop()
		storming.Wait()
		c.Close()
		if err := s.Start(); err != nil {
			return err
		}
	}
	c, err := own.Dial(s.Place, "", "", nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, w := range all {
		if err := w.look(ctx, c); err != nil {
			return err
		}
		kept += w.kept
	}
	fmt.Printf("   killed %d times, %d transactions kept\n", rounds, kept)
	return nil
}

func main() {
	if !own.Check("killed in a storm of transactions", storm) {
		os.Exit(1)
	}
}
