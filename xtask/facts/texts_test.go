// The rules of comments with code of our own, and what they make of Kubernetes'.

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTextOfLines(t *testing.T) {
	for _, test := range []struct{ comment, want string }{
		{"", ""},
		{"One line.", "One line."},
		{"Two lines\nof a paragraph.", "Two lines of a paragraph."},
		{"One.\n\nTwo.", "One.\n\nTwo."},
		{"For example:\n\n  a: b\n  c: d\nEnd.", "For example:\n\n  a: b\n  c: d\nEnd."},
		{"Before.\n\tcode\nAfter.", "Before.\n\tcode\nAfter."},
		{"Said.\n+optional\n  +listType=atomic\n" + toDo + ": later", "Said."},
		{"Said.\n---\nNot said.", "Said."},
	} {
		if got := text(strings.Split(test.comment, "\n")); got != test.want {
			t.Errorf("text(%q) = %q, want %q", test.comment, got, test.want)
		}
	}
}

func parsed(t *testing.T, code string) *source {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "types.go", code, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return read("example.com/a", files, []*ast.File{file})
}

func TestCommentsStandDirectlyAbove(t *testing.T) {
	got := parsed(t, `package a
// Detached.

// A thing.
type Thing struct {
	// Embedded.
	Other
	Size int // Behind.
	Name string
	Bare int

	Last int
}
type Other struct{}
`).comments
	for name, want := range map[string]string{
		"Thing":       "A thing.",
		"Thing.Other": "Embedded.",
		"Thing.Size":  "",
		"Thing.Name":  "Behind.",
		"Thing.Bare":  "",
		"Thing.Last":  "",
	} {
		if got := text(got[name]); got != want {
			t.Errorf("above %s stands %q, want %q", name, got, want)
		}
	}
}

func TestValuesOfEnumerations(t *testing.T) {
	got := parsed(t, `package a
// +enum
type Colour string
type Shape string
const (
	// Red is warm.
	Red Colour = "r"
	Green Colour = "g"
	// Also is
	// green.
	Also = Green
	// Short.
	Again = Colour("r")
	Round Shape = "o"
	Number = 1
)
`).enums
	want := map[string][]string{"Colour": {" - `\"g\"` is green.", " - `\"r\"` is warm."}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextsOfKubernetes(t *testing.T) {
	field := func(t reflect.Type, name string) string {
		f, _ := t.FieldByName(name)
		return textOfField(t, f)
	}
	after := func(text, words string) string {
		_, after, _ := strings.Cut(text, words)
		return after
	}
	for _, test := range []struct{ got, want string }{
		{textOfType(reflect.TypeFor[core.Pod]()), "Pod is a collection of containers that can run on a host. This resource is created by clients and scheduled onto hosts."},
		{field(reflect.TypeFor[core.ConfigMap](), "TypeMeta"), ""},
		{field(reflect.TypeFor[metav1.Status](), "Reason"), "A machine-readable description of why this operation is in the \"Failure\" status. If this value is empty there is no information available. A Reason clarifies an HTTP status code but does not override it."},
		// Values that are constants of another package.
		{after(field(reflect.TypeFor[discovery.EndpointSlice](), "AddressType"), "values:"), "\n - `\"FQDN\"` represents a FQDN.\n - `\"IPv4\"` represents an IPv4 Address.\n - `\"IPv6\"` represents an IPv6 Address."},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
