// SPDX-License-Identifier: MIT

// libp2p asks for node 22; of that it needs this one function, which node 20 has not.
Promise.withResolvers ??= function () {
  const made = {}
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
