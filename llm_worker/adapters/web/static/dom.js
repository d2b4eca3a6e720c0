// Describes elements and brings the document in line with the description, in place: an element
// that stays keeps its focus, its selection, its scroll position, and whether it is open.

const SVG = "http://www.w3.org/2000/svg";
const keys = new WeakMap();
const attributesSet = new WeakMap();

/**
 * Describe an element. Strings and numbers become text, never markup; null and false are left out.
 * `key` tells siblings apart that come and go; others are told apart by their tag and order.
 */
export function h(tag, attributes, ...children) {
  const { key, ...rest } = attributes ?? {};
  return { tag, key, attributes: rest, children };
}

/** Let `parent` have these children and no others. */
export function patch(parent, children) {
  const wanted = withKeys(children);
  const present = new Map();
  for (const node of [...parent.childNodes]) {
    const key = keys.get(node);
    if (wanted.has(key)) present.set(key, node);
    else node.remove();
  }
  let place = parent.firstChild;
  for (const [key, child] of wanted) {
    const node = present.get(key) ?? create(key, child, parent);
    if (node === place) place = node.nextSibling;
    else parent.insertBefore(node, place);
    update(node, child);
  }
}

function withKeys(children) {
  const seen = new Map();
  const wanted = new Map();
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    const tag = child.tag ?? "#text";
    const nth = seen.get(tag) ?? 0;
    if (child.key === undefined) seen.set(tag, nth + 1);
    let key = `${tag} ${child.key === undefined ? nth : `key ${child.key}`}`;
    while (wanted.has(key)) key += " again";
    wanted.set(key, child);
  }
  return wanted;
}

function create(key, child, parent) {
  let node;
  if (child.tag === undefined) node = document.createTextNode("");
  else if (child.tag === "svg" || parent.namespaceURI === SVG) {
    node = document.createElementNS(SVG, child.tag);
  } else node = document.createElement(child.tag);
  keys.set(node, key);
  return node;
}

function update(node, child) {
  if (child.tag === undefined) {
    const text = String(child);
    if (node.data !== text) node.data = text;
    return;
  }
  const before = attributesSet.get(node) ?? {};
  for (const name of Object.keys(before)) {
    if (isAbsent(child.attributes[name])) node.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(child.attributes)) {
    if (!isAbsent(value) && before[name] !== value) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  attributesSet.set(node, child.attributes);
  patch(node, child.children);
}

function isAbsent(value) {
  return value === null || value === undefined || value === false;
}
