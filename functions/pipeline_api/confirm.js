// Swagger UI's request interceptor: asks before a request that starts or changes something.
// A request that is not confirmed is not sent.
function confirming(spec, confirm) {
  const questions = Object.entries(spec.paths).flatMap(([template, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => operation["x-confirm"])
      .map(([method, operation]) => ({
        method: method.toUpperCase(),
        path: new RegExp(`${template.replace(/{\w+}/g, "[^/]+")}$`),
        question: operation["x-confirm"],
      })),
  );
  return (request) => {
    const path = request.url.replace(/[?#].*$/, "");
    const found = questions.find((q) => q.method === request.method.toUpperCase() && q.path.test(path));
    if (found && !confirm(found.question)) {
      throw new Error("not sent: it was not confirmed");
    }
    return request;
  };
}
