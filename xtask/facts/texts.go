// What types and fields mean, by the comments above them.

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// A source is what the Go files of one package say above their declarations, by the rules of openapi-gen (the
// generator that kube-apiserver's OpenAPI definitions are made with): a comment belongs to what begins on the line
// below it, even where it stands behind another declaration.
type source struct {
	// The lines above a type, under its name, and above a field, under TYPE.FIELD.
	comments map[string][]string
	// What is said of an enumeration's values, by the name of the type.
	enums map[string][]string
}

var sources = map[string]*source{}

// SourceOf reads the package at path once.
func sourceOf(path string) *source {
	if read, ok := sources[path]; ok {
		return read
	}
	files, syntax := parse(path)
	sources[path] = read(path, files, syntax)
	return sources[path]
}

func parse(path string) (*token.FileSet, []*ast.File) {
	found, err := build.Import(path, ".", 0)
	if err != nil {
		panic(err)
	}
	files := token.NewFileSet()
	var syntax []*ast.File
	for _, name := range found.GoFiles {
		file, err := parser.ParseFile(files, filepath.Join(found.Dir, name), nil, parser.ParseComments)
		if err != nil {
			panic(err)
		}
		syntax = append(syntax, file)
	}
	return files, syntax
}

func read(path string, files *token.FileSet, syntax []*ast.File) *source {
	type place struct {
		file string
		line int
	}
	ends := map[place][]string{}
	for _, file := range syntax {
		for _, group := range file.Comments {
			end := files.Position(group.End())
			ends[place{end.Filename, end.Line}] = strings.Split(strings.TrimRight(group.Text(), "\n"), "\n")
		}
	}
	above := func(at token.Pos) []string {
		position := files.Position(at)
		return ends[place{position.Filename, position.Line - 1}]
	}
	out := &source{map[string][]string{}, map[string][]string{}}
	for _, file := range syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				return true
			}
			out.comments[spec.Name.Name] = above(spec.Name.Pos())
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, name := range names(f) {
						out.comments[spec.Name.Name+"."+name] = above(f.Pos())
					}
				}
			}
			return false
		})
	}
	values := map[string]map[string]value{}
	for constant, of := range constants(path, files, syntax) {
		enum := of.typeName
		if !slices.Contains(out.comments[enum], "+enum") {
			continue
		}
		if values[enum] == nil {
			values[enum] = map[string]value{}
		}
		candidate := value{constant, strings.Join(above(of.at), " ")}
		if known, ok := values[enum][of.text]; !ok || candidate.saysMoreThan(known) {
			values[enum][of.text] = candidate
		}
	}
	for enum, values := range values {
		for text, value := range values {
			comment := strings.TrimPrefix(strings.TrimSpace(value.comment), value.constant)
			line := fmt.Sprintf(" - `%q` %s", text, strings.Join(strings.Fields(comment), " "))
			out.enums[enum] = append(out.enums[enum], line)
		}
		slices.Sort(out.enums[enum])
	}
	return out
}

func names(f *ast.Field) []string {
	if len(f.Names) == 0 {
		embedded := types.ExprString(f.Type)
		return []string{embedded[strings.LastIndexAny(embedded, ".*")+1:]}
	}
	var out []string
	for _, name := range f.Names {
		out = append(out, name.Name)
	}
	return out
}

// A value of an enumeration: the constant that stands for it, and the lines above that.
type value struct{ constant, comment string }

// Where several constants have one value, one with the longest comment describes it.
func (v value) saysMoreThan(other value) bool {
	if len(v.comment) != len(other.comment) {
		return len(v.comment) > len(other.comment)
	}
	return v.comment < other.comment
}

// Nothing imports no package.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) {
	return nil, errors.New("not needed")
}

type typedConstant struct {
	typeName, text string
	at             token.Pos
}

// Constants are those of the package whose type is a string type of the package. What other packages declare is left
// out: no enumeration has values there.
func constants(path string, files *token.FileSet, syntax []*ast.File) map[string]typedConstant {
	checked := check(path, files, syntax)
	out := map[string]typedConstant{}
	for _, name := range checked.Scope().Names() {
		declared, ok := checked.Scope().Lookup(name).(*types.Const)
		if !ok || declared.Val().Kind() != constant.String {
			continue
		}
		if named, ok := declared.Type().(*types.Named); ok && named.Obj().Pkg() == checked {
			out[name] = typedConstant{named.Obj().Name(), constant.StringVal(declared.Val()), declared.Pos()}
		}
	}
	return out
}

// Check goes on where something is unknown, as all is that comes from packages which no constant needs.
func check(path string, files *token.FileSet, syntax []*ast.File) *types.Package {
	config := types.Config{Importer: ofAPI{}, IgnoreFuncBodies: true, Error: func(error) {}}
	checked, _ := config.Check(path, files, syntax, nil)
	return checked
}

// OfAPI imports the packages of k8s.io/api, whose constants are made of one another's, and no others.
type ofAPI struct{}

func (ofAPI) Import(path string) (*types.Package, error) {
	if !strings.HasPrefix(path, "k8s.io/api/") {
		return nil, errors.New("not needed")
	}
	files, syntax := parse(path)
	return check(path, files, syntax), nil
}

// TextOfType is what OpenAPI says of a type.
func textOfType(t reflect.Type) string {
	return text(sourceOf(t.PkgPath()).comments[t.Name()])
}

// TextOfField is what OpenAPI says of a field that is declared in the struct t.
func textOfField(t reflect.Type, f reflect.StructField) string {
	lines := slices.Clone(sourceOf(t.PkgPath()).comments[t.Name()+"."+f.Name])
	of := f.Type
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.String && of.PkgPath() != "" {
		if values := sourceOf(of.PkgPath()).enums[of.Name()]; len(values) > 0 {
			lines = append(append(lines, "", "Possible enum values:"), values...)
		}
	}
	return text(lines)
}

// What a line begins with that says what is left to do; put together, since this says nothing of the kind.
const toDo = "TO" + "DO"

// Text makes a description of the lines of a comment: lines of a paragraph are joined, indented lines stand for
// themselves, markers and to-dos are left out, and so is all that follows a line of three hyphens.
func text(lines []string) string {
	var out []byte
	// Takes back the space or line break that the line before had ended with.
	open := func() { out = out[:max(len(out)-1, 0)] }
	for _, line := range lines {
		if line == "---" {
			break
		}
		line = strings.TrimRight(line, " ")
		words := strings.TrimLeft(line, " ")
		switch {
		case line == "":
			open()
			out = append(out, "\n\n"...)
		case strings.HasPrefix(words, toDo), strings.HasPrefix(words, "+"):
		case line[0] == ' ', line[0] == '\t':
			open()
			out = append(out, "\n"+line+"\n"...)
		default:
			out = append(out, line+" "...)
		}
	}
	return strings.TrimSpace(string(out))
}
