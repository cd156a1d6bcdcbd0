package dialogue

import "testing"

func TestSaidDigits(t *testing.T) {
	fillers := []string{"pin", "my", "the", "is", "number", "code", "it", "its"}
	for text, want := range map[string]string{
		"1234":                            "1234",
		"1 2 3 4":                         "1234",
		"12-34":                           "1234",
		"one two three four":              "1234",
		"My PIN is one, two, three, four": "1234",
		"it's 2580 please":                "2580",
		"twelve thirty four":              "1234",
		"twelve thirty-four":              "1234",
		"twenty five eighty":              "2580",
		"double five oh two":              "5502",
		"triple seven one":                "7771",
		"one two three for":               "1234",
		"two to too nine":                 "2229",
		"oh oh oh oh":                     "0000",
		"thirty":                          "30",
		"seven":                           "7",
		"one two tree ate":                "1238",
		// More in it than digits: a PIN said unclearly.
		"one two three flour":  "123?",
		"one two banana three": "123?",
		// Sentences with numbers in them.
		"scale web to five":         "",
		"make it six":               "",
		"scale web to 100 replicas": "",
		"how is cart?":              "",
		"yes":                       "",
		"no":                        "",
		"what about the other two":  "",
		"":                          "",
		"to":                        "",
	} {
		got, sure := saidDigits(text, fillers...)
		s := string(got)
		if s != "" && !sure {
			s += "?"
		}
		if s != want {
			t.Errorf("%q is %q, want %q", text, s, want)
		}
	}
}

func TestLinkCode(t *testing.T) {
	for text, want := range map[string]string{
		"link 4829 1374":                         "48291374",
		"link 482 913":                           "482913",
		"Link four eight two nine one three 7 4": "48291374",
		"link my phone with the code 48291374":   "48291374",
		"please link me with code 4829-1374":     "48291374",
		"link my phone":                          "",
		"4829 1374":                              "",
		"link web to 5":                          "",
		"unlink 4829 1374":                       "",
		"scale link to 4829":                     "",
	} {
		if got, _ := linkCode(text); string(got) != want {
			t.Errorf("%q is %q, want %q", text, string(got), want)
		}
	}
}
