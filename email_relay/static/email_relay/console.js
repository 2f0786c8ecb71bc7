// Puts the dashboard's newest state in the place of the old one. Whatever goes wrong, the next turn tries again.
(function () {
  "use strict";
  var place = document.getElementById("relay-dashboard");
  if (!place) return;
  var pause = Number(place.dataset.refresh || 10) * 1000;
  function refresh() {
    if (document.hidden) return again();
    fetch(location.pathname + "?fragment", { credentials: "same-origin", redirect: "manual" })
      .then(function (answer) {
        if (answer.type === "opaqueredirect") return location.reload();
        return answer.text().then(function (text) {
          if (answer.ok || answer.status === 503) place.innerHTML = text;
        });
      })
      .catch(function () { place.classList.add("relay-stale"); })
      .then(again);
  }
  function again() { setTimeout(refresh, pause); }
  again();
})();
