#include "rask/diagnostics/markup.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "rask/base/units.h"
#include "rask/wire/utf8.h"

namespace rask::diagnostics {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : wire::clean_utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          out += "\xef\xbf\xbd";  // U+FFFD: XML has no place for it.
        else
          out += c;
    }
  }
  return out;
}

namespace {

constexpr std::string_view kStyle = R"(
body{font:14px/1.45 system-ui,sans-serif;margin:0 1.5em 3em;color:#222}
h1{font-size:1.4em} h2{font-size:1.15em;margin-top:1.6em}
nav{position:sticky;top:0;background:#fff;border-bottom:1px solid #ccc;padding:.4em 0;z-index:1}
nav button{font:inherit;border:0;background:none;padding:.3em .8em;cursor:pointer}
nav button.on{border-bottom:3px solid #4c78a8;font-weight:600}
table{border-collapse:collapse} td,th{padding:.15em .8em;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
tr:nth-child(even){background:#f6f6f6}
pre{background:#f6f6f6;padding:.8em;overflow:auto}
details{margin-left:1.1em} summary{cursor:pointer} summary small,.note{color:#666}
.swatch{display:inline-block;width:.9em;height:.9em;vertical-align:-.1em;margin-right:.5em}
body.tabs section{display:none} body.tabs section.on{display:block}
svg{max-width:100%;height:auto} svg .bars{cursor:crosshair}
)";

// Tabs, and the wheel, dragging and double clicks on a task stream. All is there without it too.
constexpr std::string_view kScript = R"(
(function(){
var nav=document.querySelector('nav'),tabs=document.querySelectorAll('section');
function show(id){for(var i=0;i<tabs.length;i++){var on=tabs[i].id===id;
tabs[i].classList.toggle('on',on);nav.children[i].classList.toggle('on',on);}}
if(nav&&tabs.length){for(var i=0;i<tabs.length;i++){(function(tab){
var b=document.createElement('button');b.textContent=tab.getAttribute('data-title');
b.onclick=function(){show(tab.id);};nav.appendChild(b);})(tabs[i]);}
document.body.classList.add('tabs');show(tabs[0].id);}
function time(s){return s===0?'0':Math.abs(s)>=1?s.toPrecision(4)+' s':
Math.abs(s)>=1e-3?(s*1e3).toPrecision(4)+' ms':(s*1e6).toPrecision(4)+' us';}
document.querySelectorAll('svg.stream').forEach(function(svg){
var bars=svg.querySelector('.bars'),ticks=svg.querySelectorAll('.tick');
var whole=bars.getAttribute('viewBox').split(' ').map(Number);
var span=Number(svg.getAttribute('data-span')),x=0,w=whole[2],drag=null;
function draw(){w=Math.min(whole[2],Math.max(50,w));x=Math.min(whole[2]-w,Math.max(0,x));
bars.setAttribute('viewBox',x+' 0 '+w+' '+whole[3]);
ticks.forEach(function(t,i){t.textContent=time((x+w*i/(ticks.length-1))/whole[2]*span);});}
function at(e){var r=svg.getBoundingClientRect(),b=svg.viewBox.baseVal.width;
return ((e.clientX-r.left)/r.width*b-bars.x.baseVal.value)/bars.width.baseVal.value;}
svg.addEventListener('wheel',function(e){e.preventDefault();
var f=at(e),z=e.deltaY>0?1.25:0.8,n=Math.min(whole[2],Math.max(50,w*z));x+=f*(w-n);w=n;draw();},
{passive:false});
svg.addEventListener('mousedown',function(e){drag=[at(e),x];e.preventDefault();});
window.addEventListener('mousemove',function(e){if(drag){x=drag[1]-(at(e)-drag[0])*w;draw();}});
window.addEventListener('mouseup',function(){drag=null;});
svg.addEventListener('dblclick',function(){x=0;w=whole[2];draw();});
});
})();
)";

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  // The policy: whatever may have slipped in, nothing is asked of a network.
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<title>{}</title>\n<style>{}</style></head>\n<body>\n{}\n<script>{}</script>\n"
      "</body></html>\n",
      escaped(title), kStyle, body, kScript);
}

// ---- Charts -------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kPointsMax = 600;

std::vector<std::pair<Seconds, double>> thinned(
    std::span<const std::pair<Seconds, double>> points) {
  const auto step = (points.size() + kPointsMax - 1) / kPointsMax;
  std::vector<std::pair<Seconds, double>> few;
  for (std::size_t i = 0; i < points.size(); i += step) {
    auto highest = points[i];
    for (const auto& point : points.subspan(i, std::min(step, points.size() - i)))
      highest.second = std::max(highest.second, point.second);
    few.push_back(highest);
  }
  return few;
}

}  // namespace

std::string chart_svg(const Chart& chart) {
  if (chart.points.empty()) return {};
  constexpr double kWidth = 900;
  constexpr double kHeight = 120;
  const auto start = chart.points.front().first;
  const auto span = std::max(1e-9, chart.points.back().first - start);
  const auto few = thinned(chart.points);
  double top = 0;
  for (const auto& [time, value] : few) top = std::max(top, value);
  const auto scale = top > 0 ? kHeight / top : 0;
  std::string line;
  for (const auto& [time, value] : few)
    fmt::format_to(std::back_inserter(line), "{:.1f},{:.1f} ", (time - start) / span * kWidth,
                   kHeight - value * scale);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-90 -22 1000 164\" width=\"1000\" "
      "font-family=\"sans-serif\" font-size=\"11\">"
      "<text x=\"0\" y=\"-8\" font-weight=\"bold\">{}</text>"
      "<path d=\"M0 0V{}H{}\" fill=\"none\" stroke=\"#999\"/>"
      "<text x=\"-6\" y=\"8\" text-anchor=\"end\">{}</text>"
      "<text x=\"-6\" y=\"{}\" text-anchor=\"end\">0</text>"
      "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>"
      "<polyline points=\"{}\" fill=\"none\" stroke=\"#4c78a8\" stroke-width=\"1.5\"/></svg>\n",
      escaped(chart.title), kHeight, kWidth, escaped(chart.label(top)), kHeight, kWidth,
      kHeight + 16, format_time(span), line);
}

}  // namespace rask::diagnostics
