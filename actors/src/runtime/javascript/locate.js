// Finds names for functions. Evaluated to a function that takes [path, value] pairs, the named
// values of a module, and gives back a Map from every object and function that they reach to its
// path: property names, with null for a step to the prototype.
(function (roots) {
  const paths = new Map();
  const queue = [];
  const visit = (value, path) => {
    const type = typeof value;
    if (value === null || (type !== "object" && type !== "function") || paths.has(value)) return;
    paths.set(value, path);
    if (path.length < 10 && paths.size < 50000) queue.push(value);
  };
  for (const [path, value] of roots) visit(value, path);
  for (let next = 0; next < queue.length; next++) {
    const object = queue[next];
    const path = paths.get(object);
    for (const key of Reflect.ownKeys(object)) {
      if (typeof key !== "string") continue;
      // Getters are left alone: to read one may have an effect.
      const property = Reflect.getOwnPropertyDescriptor(object, key);
      if (property && "value" in property) visit(property.value, [...path, key]);
    }
    visit(Reflect.getPrototypeOf(object), [...path, null]);
  }
  return paths;
})
