package age

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestShiftMovesWhatIsNotBefore(t *testing.T) {
	from := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) metav1.Time { return metav1.NewTime(from.Add(d)) }
	start := at(time.Second)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", CreationTimestamp: at(0), ManagedFields: []metav1.ManagedFieldsEntry{{Time: &start}}},
		Status: corev1.PodStatus{
			StartTime:         &start,
			Conditions:        []corev1.PodCondition{{LastTransitionTime: at(-time.Second)}, {LastTransitionTime: at(time.Minute)}},
			ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(2 * time.Second)}}}},
		},
	}
	if !shift(reflect.ValueOf(p), from, time.Hour) {
		t.Fatal("nothing was moved")
	}
	for name, c := range map[string]struct {
		got  metav1.Time
		want time.Duration
	}{
		"created":       {p.CreationTimestamp, -time.Hour},
		"old condition": {p.Status.Conditions[0].LastTransitionTime, -time.Second},
		"new condition": {p.Status.Conditions[1].LastTransitionTime, time.Minute - time.Hour},
		"running":       {p.Status.ContainerStatuses[0].State.Running.StartedAt, 2*time.Second - time.Hour},
	} {
		if !c.got.Time.Equal(from.Add(c.want)) {
			t.Errorf("%s: %v, want %v", name, c.got, from.Add(c.want))
		}
	}
	if p.DeletionTimestamp != nil {
		t.Error("a moment was made up")
	}
	if shift(reflect.ValueOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(-time.Second)}}), from, time.Hour) {
		t.Error("an older object was moved")
	}
}
