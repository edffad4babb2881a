package main

import (
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func (w *world) key() []byte {
	if w.r.Intn(60) == 0 {
		return nil
	}
	return []byte("o/" + string(rune('a'+w.r.Intn(4))) + strings.Repeat("x", w.r.Intn(3)))
}

func (w *world) end(key []byte) []byte {
	switch w.r.Intn(6) {
	case 0:
		return []byte(clientv3.GetPrefixRangeEnd("o/"))
	case 1:
		return w.key()
	case 2:
		return []byte(clientv3.GetPrefixRangeEnd(string(key)))
	default:
		return nil
	}
}

func (w *world) someRevision() int64 {
	switch w.r.Intn(12) {
	case 0:
		return w.revision + int64(w.r.Intn(3)) - 1
	case 1, 2, 3:
		if span := w.revision - w.compacted; span > 0 {
			return w.compacted + w.r.Int63n(span)
		}
		return 1
	default:
		return 0
	}
}

func (w *world) lease() int64 {
	if w.r.Intn(3) > 0 {
		return 0
	}
	return int64(1 + w.r.Intn(4))
}

func (w *world) value() []byte { return []byte(strconv.Itoa(w.r.Intn(4))) }

func (w *world) rangeRequest() *pb.RangeRequest {
	key := w.key()
	q := &pb.RangeRequest{Key: key, RangeEnd: w.end(key), Revision: w.someRevision()}
	if w.r.Intn(2) == 0 {
		q.Limit = int64(w.r.Intn(4))
	}
	if w.r.Intn(3) == 0 {
		// Few enough keys that both keep equals in the order of their keys.
		q.SortOrder = pb.RangeRequest_SortOrder(w.r.Intn(3))
		q.SortTarget = pb.RangeRequest_SortTarget(w.r.Intn(5))
	}
	q.Serializable = w.r.Intn(2) == 0
	q.CountOnly = w.r.Intn(12) == 0
	q.KeysOnly = w.r.Intn(8) == 0
	if w.r.Intn(6) == 0 {
		q.MinModRevision, q.MaxModRevision = w.someRevision(), w.someRevision()
	}
	if w.r.Intn(6) == 0 {
		q.MinCreateRevision, q.MaxCreateRevision = w.someRevision(), w.someRevision()
	}
	return q
}

func (w *world) putRequest() *pb.PutRequest {
	q := &pb.PutRequest{Key: w.key(), Value: w.value(), Lease: w.lease(), PrevKv: w.r.Intn(3) == 0}
	if w.r.Intn(8) == 0 {
		q.IgnoreValue = true
		if w.r.Intn(4) > 0 {
			q.Value = nil
		}
	}
	if w.r.Intn(8) == 0 {
		q.IgnoreLease = true
		if w.r.Intn(4) > 0 {
			q.Lease = 0
		}
	}
	return q
}

func (w *world) deleteRequest() *pb.DeleteRangeRequest {
	key := w.key()
	return &pb.DeleteRangeRequest{Key: key, RangeEnd: w.end(key), PrevKv: w.r.Intn(2) == 0}
}

func (w *world) txnRequest(depth int) *pb.TxnRequest {
	q := &pb.TxnRequest{}
	for i := w.r.Intn(3); i > 0; i-- {
		key := w.key()
		c := &pb.Compare{Key: key, RangeEnd: w.end(key), Result: pb.Compare_CompareResult(w.r.Intn(4))}
		switch w.r.Intn(5) {
		case 0:
			c.Target, c.TargetUnion = pb.Compare_VERSION, &pb.Compare_Version{Version: int64(w.r.Intn(3))}
		case 1:
			c.Target, c.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: w.someRevision()}
		case 2:
			c.Target, c.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: w.someRevision()}
		case 3:
			c.Target, c.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: w.value()}
		case 4:
			c.Target, c.TargetUnion = pb.Compare_LEASE, &pb.Compare_Lease{Lease: w.lease()}
		}
		q.Compare = append(q.Compare, c)
	}
	ops := func() (ops []*pb.RequestOp) {
		for i := w.r.Intn(4); i > 0; i-- {
			op := &pb.RequestOp{}
			switch n := w.r.Intn(12); {
			case n < 4:
				op.Request = &pb.RequestOp_RequestPut{RequestPut: w.putRequest()}
			case n < 8:
				op.Request = &pb.RequestOp_RequestRange{RequestRange: w.rangeRequest()}
			case n < 10:
				op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: w.deleteRequest()}
			case n < 11 && depth < 2:
				op.Request = &pb.RequestOp_RequestTxn{RequestTxn: w.txnRequest(depth + 1)}
			default:
				if w.r.Intn(20) > 0 {
					op.Request = &pb.RequestOp_RequestPut{RequestPut: w.putRequest()}
				}
			}
			ops = append(ops, op)
		}
		return ops
	}
	q.Success, q.Failure = ops(), ops()
	return q
}
