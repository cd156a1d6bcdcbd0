// Package age makes objects of the cluster older than they are. A cluster that
// was made a minute ago looks as though everything in it had just been rolled
// out; a real one does not. The API server gives out the time of creation itself,
// so it is changed where the objects are kept.
package age

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// kinds are the objects that have an age that anybody looks at, as the API server
// keeps them. A CronJob is not among them: it would make up for what it missed.
var kinds = []string{
	"namespaces", "minions", "services/specs", "configmaps", "pods", "replicasets", "deployments", "statefulsets", "daemonsets",
	"controllerrevisions", "jobs", "horizontalpodautoscalers", "poddisruptionbudgets", "networkpolicies", "resourcequotas",
	"persistentvolumeclaims", "endpointslices", "events",
}

// Store is where the API server keeps its objects.
type Store struct{ client *clientv3.Client }

// Open connects to the etcd behind a Unix socket.
func Open(socket string) (*Store, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, DialTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return &Store{c}, nil
}

// Close ends the connection.
func (s *Store) Close() error { return s.client.Close() }

// prefix is how an object begins that is kept as a protocol buffer.
var prefix = []byte("k8s\x00")

// Back moves every moment since from by d into the past, in all objects, and
// returns how many it changed. Controllers see that as any other change.
func (s *Store) Back(ctx context.Context, from time.Time, d time.Duration) (int, error) {
	codec := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	changed := 0
	for _, kind := range kinds {
		all, err := s.client.Get(ctx, "/registry/"+kind+"/", clientv3.WithPrefix())
		if err != nil {
			return changed, err
		}
		for _, kv := range all.Kvs {
			// An object may change meanwhile: by a controller that answers to the last.
			for range 5 {
				done, did, err := s.back(ctx, codec, string(kv.Key), from, d)
				if err != nil {
					return changed, fmt.Errorf("making %s older: %w", kv.Key, err)
				}
				if did {
					changed++
				}
				if done {
					break
				}
			}
		}
	}
	return changed, nil
}

func (s *Store) back(ctx context.Context, codec runtime.Serializer, key string, from time.Time, d time.Duration) (done, changed bool, err error) {
	got, err := s.client.Get(ctx, key)
	if err != nil || len(got.Kvs) == 0 || !bytes.HasPrefix(got.Kvs[0].Value, prefix) {
		return true, false, err
	}
	kv := got.Kvs[0]
	object, _, err := codec.Decode(kv.Value, nil, nil)
	if err != nil {
		if runtime.IsNotRegisteredError(err) {
			return true, false, nil
		}
		return true, false, err
	}
	if !shift(reflect.ValueOf(object), from, d) {
		return true, false, nil
	}
	var b bytes.Buffer
	if err := codec.Encode(object, &b); err != nil {
		return true, false, err
	}
	res, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)).
		Then(clientv3.OpPut(key, b.String(), clientv3.WithIgnoreLease())).
		Commit()
	if err != nil {
		return true, false, err
	}
	return res.Succeeded, res.Succeeded, nil
}

// shift moves the moments in a value that are not before from, and says whether
// there were any.
func shift(v reflect.Value, from time.Time, d time.Duration) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && shift(v.Elem(), from, d)
	case reflect.Slice, reflect.Array:
		any := false
		for i := range v.Len() {
			any = shift(v.Index(i), from, d) || any
		}
		return any
	case reflect.Struct:
		if !v.CanAddr() {
			return false
		}
		move := func(t *time.Time) bool {
			if t.IsZero() || t.Before(from) {
				return false
			}
			*t = t.Add(-d)
			return true
		}
		switch t := v.Addr().Interface().(type) {
		case *metav1.Time:
			return move(&t.Time)
		case *metav1.MicroTime:
			return move(&t.Time)
		}
		any := false
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				any = shift(v.Field(i), from, d) || any
			}
		}
		return any
	}
	return false
}
