"use strict";
document.querySelectorAll(".compare").forEach(function (view) {
  var range = view.querySelector("input");
  function show() { view.style.setProperty("--at", range.value + "%"); }
  function follow(event) {
    var box = view.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    show();
  }
  range.addEventListener("input", show);
  view.addEventListener("pointerdown", function (event) {
    event.preventDefault();
    range.focus({ preventScroll: true });
    view.setPointerCapture(event.pointerId);
    follow(event);
  });
  view.addEventListener("pointermove", function (event) {
    if (view.hasPointerCapture(event.pointerId)) follow(event);
  });
});

(function () {
  var source = document.getElementById("scatter-data");
  var choose = document.getElementById("scatter-choose");
  if (!source || !choose) return;
  var data = JSON.parse(source.textContent);
  var across = document.getElementById("scatter-x"), up = document.getElementById("scatter-y");
  function place(value, panel) {
    return value === "inf" ? 1 : (value - panel.low) / (panel.high - panel.low);
  }
  function show() {
    var x = Number(across.value), y = Number(up.value);
    data.panels.forEach(function (panel) {
      var figure = document.getElementById(panel.id);
      var wins = [0, 0], both = 0;
      figure.querySelectorAll("circle").forEach(function (point, n) {
        var a = panel.values[x][n], b = panel.values[y][n];
        var known = a !== null && b !== null;
        point.style.display = known ? "" : "none";
        if (!known) return;
        both += 1;
        if (a !== b) {
          var larger = a === "inf" || (b !== "inf" && a > b);
          wins[larger === panel.rises ? 0 : 1] += 1;
        }
        point.setAttribute("cx", data.left + data.size * place(a, panel));
        point.setAttribute("cy", data.top + data.size * (1 - place(b, panel)));
        point.firstChild.textContent = [data.triplets[n]].concat([[x, a], [y, b]].map(function (pair) {
          var number = pair[1] === "inf" ? "∞" : pair[1].toFixed(panel.digits);
          return data.models[pair[0]] + " " + number + panel.unit;
        })).join("\n");
      });
      figure.querySelector(".x-name").textContent = data.short[x] + " →";
      figure.querySelector(".y-name").textContent = data.short[y] + " →";
      figure.querySelector(".wins").textContent = data.models[x] + " is better on " + wins[0] + " of " + both
        + " triplets, " + data.models[y] + " on " + wins[1] + ".";
    });
  }
  across.addEventListener("change", show);
  up.addEventListener("change", show);
  choose.hidden = false;
  // A browser may have kept an earlier choice over a reload.
  show();
})();
