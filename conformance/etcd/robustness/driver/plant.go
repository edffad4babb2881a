package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
)

// In how many histories there was a place for a bug. Chance may leave none in one of them: few keys are often read when they are gone.
var places = map[string]int{}

// plant puts bugs into a history that holds, one at a time: each has to be found.
func plant(name string, h *history, of traffic.Traffic) {
	bugs := []struct {
		name string
		into func(reports []report.ClientReport) bool
	}{
		{"a read of a value that nobody put", staleRead},
		{"an event that a watch is not told", lostEvent},
		{"an event that a watch is told twice", doubledEvent},
	}
	for _, bug := range bugs {
		bad := &history{reports: slices.Clone(h.reports), log: h.log}
		if _, known := places[bug.name]; !known {
			places[bug.name] = 0
		}
		if !bug.into(bad.reports) {
			continue
		}
		places[bug.name]++
		var err error
		if quietly(func() error { return judge(bad, of, io.Discard) }) == nil {
			err = fmt.Errorf("it was not found")
		}
		say(name+": "+bug.name+" is found", err)
	}
}

// planted says which bugs no history had a place for.
func planted() {
	for name, count := range places {
		if count == 0 {
			say(name, fmt.Errorf("there was no place for it in any history"))
		}
	}
}

// The checks print what they find wrong, besides saying it.
func quietly(judge func() error) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	defer null.Close()
	said := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = said }()
	return judge()
}

func staleRead(reports []report.ClientReport) bool {
	for i, client := range reports {
		for j, op := range client.KeyValue {
			request, response := op.Input.(model.EtcdRequest), op.Output.(model.MaybeEtcdResponse)
			if request.Type != model.Range || request.Range.Revision != 0 || response.Range == nil || len(response.Range.KVs) == 0 {
				continue
			}
			again := *response.Range
			again.KVs = slices.Clone(again.KVs)
			again.KVs[0].Value = model.ToValueOrHash("nobody's")
			response.Range, op.Output = &again, nil
			op.Output = response
			reports[i].KeyValue = slices.Clone(client.KeyValue)
			reports[i].KeyValue[j] = op
			return true
		}
	}
	return false
}

// withEvents changes the events of a watch that has been told at least three, at the second of them.
func withEvents(reports []report.ClientReport, change func(events []model.WatchEvent, at int) []model.WatchEvent) bool {
	for i, client := range reports {
		for j, watch := range client.Watch {
			told := 0
			for k, response := range watch.Responses {
				told += len(response.Events)
				if told < 3 || len(response.Events) == 0 || k == len(watch.Responses)-1 {
					continue
				}
				watch.Responses = slices.Clone(watch.Responses)
				watch.Responses[k].Events = change(slices.Clone(response.Events), 0)
				reports[i].Watch = slices.Clone(client.Watch)
				reports[i].Watch[j] = watch
				return true
			}
		}
	}
	return false
}

func lostEvent(reports []report.ClientReport) bool {
	return withEvents(reports, func(events []model.WatchEvent, at int) []model.WatchEvent {
		return slices.Delete(events, at, at+1)
	})
}

func doubledEvent(reports []report.ClientReport) bool {
	return withEvents(reports, func(events []model.WatchEvent, at int) []model.WatchEvent {
		return slices.Insert(events, at, events[at])
	})
}
