package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// everything is what a watch of all keys told.
type everything struct {
	client *clientv3.Client
	cancel context.CancelFunc
	mu     sync.Mutex
	events []*clientv3.Event
	err    error
}

func follow(endpoint string) (*everything, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	all := &everything{client: client, cancel: cancel}
	answers := client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(2), clientv3.WithCreatedNotify())
	if first := <-answers; !first.Created {
		return nil, fmt.Errorf("the watch of everything does not begin: %v", first.Err())
	}
	go func() {
		for answer := range answers {
			all.mu.Lock()
			all.events = append(all.events, answer.Events...)
			if err := answer.Err(); err != nil && ctx.Err() == nil {
				all.err = err
			}
			all.mu.Unlock()
		}
	}()
	return all, nil
}

func (a *everything) close() {
	a.cancel()
	a.client.Close()
}

// through waits until it has been told the event of that revision, which is the last that was written.
func (a *everything) through(revision int64) ([]*clientv3.Event, error) {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		a.mu.Lock()
		events, err := a.events, a.err
		a.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("the watch of everything ended: %w", err)
		}
		if len(events) > 0 && events[len(events)-1].Kv.ModRevision >= revision {
			return events, nil
		}
	}
	return nil, fmt.Errorf("the watch of everything was not told of revision %d", revision)
}
