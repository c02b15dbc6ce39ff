// Facts prints what Go says about Kubernetes' own types, as the official client's modules declare them: for each JSON
// field whether it is left out when empty, whether it is a pointer, where it stands in protobuf, and what it means.
// `cargo xtask tables` and `cargo xtask texts` make tables of its output: crates/apiserver/data/README.md says how.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

type field struct {
	OmitEmpty bool   `json:"omitEmpty,omitempty"`
	OmitZero  bool   `json:"omitZero,omitempty"`
	Pointer   bool   `json:"pointer,omitempty"`
	Bytes     bool   `json:"bytes,omitempty"`
	Go        string `json:"go"`
	GoType    string `json:"goType"`
	// The protobuf number; before it the numbers of the messages that are embedded around it, outermost first.
	Proto []int `json:"proto,omitempty"`
	// Whether the list (or each value, in a map) is a message of its own, with the items under the number 1.
	Wrapped bool `json:"wrapped,omitempty"`
	Order   int  `json:"order"`
	// What OpenAPI says of it.
	Text string `json:"text,omitempty"`
	// Of the fields of options: the OpenAPI type and the text of the query parameter that they are sent as.
	Parameter []string `json:"parameter,omitempty"`
}

// By the name of the type, then of the JSON field; the type itself stands under the empty name.
var out = map[string]map[string]field{}

func name(t reflect.Type) string {
	path := strings.ReplaceAll(t.PkgPath(), "k8s.io/api/", "io.k8s.api/")
	path = strings.ReplaceAll(path, "k8s.io/", "io.k8s/")
	path = strings.ReplaceAll(path, "io.io.k8s", "io.k8s")
	return strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

func visit(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() == reflect.Map {
			visit(t.Key())
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "" || !strings.Contains(t.PkgPath(), "k8s.io") {
		return
	}
	if _, seen := out[name(t)]; seen {
		return
	}
	fields := map[string]field{}
	out[name(t)] = fields
	collect(t, fields, []int{})
	fields[""] = field{Go: t.Name(), GoType: t.String(), Text: textOfType(t)}
}

// A message encodes itself, whatever its Go type would else be encoded as.
type message interface{ Unmarshal([]byte) error }

func wrapped(t reflect.Type) bool {
	if t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t.Kind() == reflect.Slice && reflect.PointerTo(t).Implements(reflect.TypeFor[message]())
}

// Inside is where a field of the struct at within stands, nil where it has no protobuf number.
func inside(within []int, f reflect.StructField) []int {
	tag := strings.Split(f.Tag.Get("protobuf"), ",")
	if within == nil || len(tag) < 2 {
		return nil
	}
	number, err := strconv.Atoi(tag[1])
	if err != nil {
		panic(err)
	}
	return append(slices.Clone(within), number)
}

// Within is where the fields of t stand in protobuf: the numbers of the messages that are embedded around them,
// outermost first; nil where they have no place there (TypeMeta).
func collect(t reflect.Type, fields map[string]field, within []int) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		parts := strings.Split(f.Tag.Get("json"), ",")
		if parts[0] == "-" {
			continue
		}
		if f.Anonymous && parts[0] == "" {
			if t.Name() == "Quantity" {
				continue
			}
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			collect(embedded, fields, inside(within, f))
			continue
		}
		entry := field{Go: f.Name, Order: len(fields), Pointer: f.Type.Kind() == reflect.Pointer, GoType: f.Type.String()}
		entry.Bytes = f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Uint8 ||
			f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Slice && f.Type.Elem().Elem().Kind() == reflect.Uint8
		for _, option := range parts[1:] {
			entry.OmitEmpty = entry.OmitEmpty || option == "omitempty"
			entry.OmitZero = entry.OmitZero || option == "omitzero"
		}
		entry.Text = textOfField(t, f)
		entry.Proto, entry.Wrapped = inside(within, f), wrapped(f.Type)
		if parts[0] == "" {
			parts[0] = f.Name
		}
		fields[parts[0]] = entry
		visit(f.Type)
	}
}

func main() {
	for _, t := range scheme.Scheme.AllKnownTypes() {
		visit(t)
		if strings.HasSuffix(t.Name(), "Options") {
			parameters(t, out[name(t)])
		}
	}
	visit(reflect.TypeOf(apiextensions.CustomResourceDefinition{}))
	visit(reflect.TypeOf(apiextensions.CustomResourceDefinitionList{}))
	visit(reflect.TypeOf(apiregistration.APIService{}))
	visit(reflect.TypeOf(apiregistration.APIServiceList{}))
	visit(reflect.TypeOf(metav1.Status{}))
	visit(reflect.TypeOf(metav1.Patch{}))
	visit(reflect.TypeOf(version.Info{}))
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(out); err != nil {
		panic(err)
	}
}
