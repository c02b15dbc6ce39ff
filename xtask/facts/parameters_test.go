// The parameters of Kubernetes' own options.

package main

import (
	"reflect"
	"testing"

	core "k8s.io/api/core/v1"
)

func TestParameters(t *testing.T) {
	options := reflect.TypeFor[core.PodLogOptions]()
	visit(options)
	fields := out[name(options)]
	parameters(options, fields)
	for field, want := range map[string]string{
		"container":    "string",
		"follow":       "boolean",
		"sinceSeconds": "integer",
		"sinceTime":    "",
		"kind":         "",
	} {
		got := ""
		if parameter := fields[field].Parameter; parameter != nil {
			got = parameter[0]
			if parameter[1] == "" {
				t.Errorf("nothing is said of %s", field)
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if got := parameterType(reflect.TypeFor[[]int32]()); got != "integer" {
		t.Errorf("a list of numbers is %q", got)
	}
}
