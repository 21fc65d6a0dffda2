/* A certificate that signed itself, and the pin of its key. */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIBczCCARmgAwIBAgIUDNZzTRJueL6Miid9usAbvZ5ybfQwCgYIKoZIzj0EAwIw\n"
                                  "DzENMAsGA1UEAwwEc2VsZjAeFw0yNjExMjkyMzMwMDhaFw0yNjEyMjkyMzMwMDha\n"
                                  "MA8xDTALBgNVBAMMBHNlbGYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASsfQwj\n"
                                  "4HGkuImbzz96XNe/5S4+rzZcZbd8vN3Udpl+8OGz6bHFwlVe5RKjemlJ1fd3dfk2\n"
                                  "5te5tNNiMqtGhqWKo1MwUTAdBgNVHQ4EFgQUoZij7riJAF8h0Cbu3vGH6Ha7HtEw\n"
                                  "HwYDVR0jBBgwFoAUoZij7riJAF8h0Cbu3vGH6Ha7HtEwDwYDVR0TAQH/BAUwAwEB\n"
                                  "/zAKBggqhkjOPQQDAgNIADBFAiAgmTDIg+/gqwvLIuC7Yi6zXXkufZA75blAJlRA\n"
                                  "f8aoiQIhAKKDL4kYI3zASSj47PiUgFDJKYALdo3L4fWVxLvBZCpk\n"
                                  "-----END CERTIFICATE-----\n";
static const char certificate_pin[] = "sha256//O7xVu/jwU6j0LkTdEIINmqMUaTTO9v25cGhSGPwQpZk=";
