package main

import (
	"sort"

	"github.com/anishathalye/porcupine"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
)

// history is what clients saw, and what was written.
type history struct {
	reports []report.ClientReport
	log     []*clientv3.Event
}

func (h *history) counts() (calls, events int) {
	for _, client := range h.reports {
		calls += len(client.KeyValue)
		events += client.WatchEventCount()
	}
	return calls, events
}

// numbers counts as etcd counts. Here a grant of a lease takes a revision like everything that is kept; there only keys do.
type numbers []int64

func (n numbers) through(revision int64) int64 {
	if revision <= 0 {
		return revision
	}
	return 1 + int64(sort.Search(len(n), func(i int) bool { return n[i] > revision }))
}

// Where a watch begins.
func (n numbers) from(revision int64) int64 {
	if revision <= 0 {
		return revision
	}
	return n.through(revision-1) + 1
}

// What no key has can be no key's.
func (n numbers) exactly(revision int64) int64 {
	if found := n.through(revision); revision <= 0 || n[max(0, found-2)] == revision {
		return found
	}
	return -revision
}

// numbered is the history in etcd's numbers, and its log as the requests that would have made it.
func (h *history) numbered() ([]report.ClientReport, []model.EtcdRequest) {
	var n numbers
	var requests []model.EtcdRequest
	for _, event := range h.log {
		if len(n) == 0 || n[len(n)-1] != event.Kv.ModRevision {
			n = append(n, event.Kv.ModRevision)
			requests = append(requests, model.EtcdRequest{Type: model.Txn, Txn: &model.TxnRequest{}})
		}
		txn := requests[len(requests)-1].Txn
		txn.OperationsOnSuccess = append(txn.OperationsOnSuccess, written(event))
	}
	var reports []report.ClientReport
	compacted := map[int64]int64{}
	for _, client := range h.reports {
		again := report.ClientReport{ClientID: client.ClientID}
		for _, op := range client.KeyValue {
			request, response := op.Input.(model.EtcdRequest), op.Output.(model.MaybeEtcdResponse)
			if request.Type == model.Compact {
				number, revision := n.through(request.Compact.Revision), request.Compact.Revision
				if other, taken := compacted[number]; taken && other != revision {
					// Two revisions here that are one there. What is compacted is the same.
					continue
				}
				compacted[number] = revision
				if response.Error != "" {
					// Perhaps it was done.
					requests = append(requests, model.EtcdRequest{Type: model.Compact, Compact: &model.CompactRequest{Revision: number}})
				}
			}
			output := n.response(response)
			again.KeyValue = append(again.KeyValue, porcupine.Operation{
				ClientId: op.ClientId, Input: n.request(request), Call: op.Call, Output: output, Return: op.Return, Metadata: output,
			})
		}
		for _, watch := range client.Watch {
			again.Watch = append(again.Watch, n.watch(watch))
		}
		reports = append(reports, again)
	}
	return reports, requests
}

func written(event *clientv3.Event) model.EtcdOperation {
	if event.Type == clientv3.EventTypeDelete {
		return model.EtcdOperation{Type: model.DeleteOperation, Delete: model.DeleteOptions{Key: string(event.Kv.Key)}}
	}
	put := model.PutOptions{Key: string(event.Kv.Key), Value: model.ToValueOrHash(string(event.Kv.Value))}
	return model.EtcdOperation{Type: model.PutOperation, Put: put}
}

func (n numbers) request(request model.EtcdRequest) model.EtcdRequest {
	switch request.Type {
	case model.Range:
		again := *request.Range
		again.Revision = n.through(again.Revision)
		request.Range = &again
	case model.Compact:
		request.Compact = &model.CompactRequest{Revision: n.through(request.Compact.Revision)}
	case model.Txn:
		again := *request.Txn
		again.Conditions = nil
		for _, condition := range request.Txn.Conditions {
			condition.ExpectedRevision = n.exactly(condition.ExpectedRevision)
			again.Conditions = append(again.Conditions, condition)
		}
		request.Txn = &again
	}
	return request
}

func (n numbers) response(response model.MaybeEtcdResponse) model.MaybeEtcdResponse {
	response.Revision = n.through(response.Revision)
	if response.Range != nil {
		again := n.found(*response.Range)
		response.Range = &again
	}
	if response.Txn != nil {
		again := *response.Txn
		again.Results = make([]model.EtcdOperationResult, len(response.Txn.Results))
		for i, result := range response.Txn.Results {
			result.RangeResponse = n.found(result.RangeResponse)
			again.Results[i] = result
		}
		response.Txn = &again
	}
	return response
}

func (n numbers) found(found model.RangeResponse) model.RangeResponse {
	if found.KVs == nil {
		return found
	}
	kvs := make([]model.KeyValue, len(found.KVs))
	for i, kv := range found.KVs {
		kv.ModRevision = n.through(kv.ModRevision)
		kvs[i] = kv
	}
	found.KVs = kvs
	return found
}

func (n numbers) watch(watch model.WatchOperation) model.WatchOperation {
	watch.Request.Revision = n.from(watch.Request.Revision)
	responses := make([]model.WatchResponse, len(watch.Responses))
	for i, response := range watch.Responses {
		response.Revision = n.through(response.Revision)
		events := make([]model.WatchEvent, len(response.Events))
		for j, event := range response.Events {
			event.Revision = n.through(event.Revision)
			if event.PrevValue != nil {
				before := *event.PrevValue
				before.ModRevision = n.through(before.ModRevision)
				event.PrevValue = &before
			}
			events[j] = event
		}
		response.Events = events
		responses[i] = response
	}
	watch.Responses = responses
	return watch
}
